import { isUtf8 } from "node:buffer";
import { describe, expect, test } from "vitest";
import { encodeRecords, RECORD_LIMIT_BYTES, recordableBytes, recordTail } from "./log-lines.ts";

const TAIL = recordTail("stdout", "", "2026-01-02T03:04:05.6Z");
const encode = (bytes: Buffer | string, tail = TAIL): string => {
  const { buffer, sizeBytes } = encodeRecords(Buffer.from(bytes), tail, Buffer.alloc(100));
  return buffer.toString("utf8", 0, sizeBytes);
};
const texts = (bytes: Buffer | string): string[] =>
  encode(bytes)
    .trimEnd()
    .split("\n")
    .map((line) => (JSON.parse(line) as { log: string }).log);

describe("a record", () => {
  test("is to the byte what dockerd writes", () => {
    const controls = Buffer.from([...Array(10).keys(), 10]);
    expect(encode(controls)).toBe(
      String.raw`{"log":"\u0000\u0001\u0002\u0003\u0004\u0005\u0006\u0007\u0008\u0009\n","stream":"stdout","time":"2026-01-02T03:04:05.6Z"}` +
        "\n",
    );
    const others = Buffer.concat([
      Buffer.from([11, 12, 13, 31]),
      Buffer.from('"\\<>&/\u007f é \u2028\u2029 '),
      Buffer.from([0xff, 0xc3, 0x20, 0xf0, 0x9f, 0x98, 0x80, 0x20, 0xed, 0xa0, 0x80, 0x20, 0xe2, 0x82, 0x20, 0x0a]),
    ]);
    expect(encode(others)).toBe(
      String.raw`{"log":"\u000b\u000c\r\u001f\"\\\u003c\u003e\u0026/` +
        "\u007f é " +
        String.raw`\u2028\u2029 \ufffd\ufffd 😀 \ufffd\ufffd\ufffd \ufffd\ufffd \n","stream":"stdout","time":"2026-01-02T03:04:05.6Z"}` +
        "\n",
    );
  });

  test("has U+FFFD for just the bytes that are not UTF-8", () => {
    const encodings = [
      ...[0x7f, 0x80, 0x7ff, 0x800, 0xd7ff, 0xe000, 0xffff, 0x10000, 0x10ffff].map((code) => Buffer.from(String.fromCodePoint(code))),
      ...["c080", "c1bf", "e09fbf", "eda080", "edbfbf", "f08fbfbf", "f4908080", "f5808080", "80", "ff", "e282"].map((hex) =>
        Buffer.from(hex, "hex"),
      ),
    ];
    for (const bytes of encodings) {
      const expected = isUtf8(bytes) ? bytes.toString() : "\ufffd".repeat(bytes.length);
      // Beside a byte that is no text, so that each is looked at one by one.
      expect(texts(Buffer.concat([Buffer.from([0xff]), bytes, Buffer.from("\n")]))).toEqual([`\ufffd${expected}\n`]);
    }
  });

  test("carries attributes between stream and time", () => {
    const tail = recordTail("stderr", JSON.stringify({ tag: "ü $& x" }), "T");
    const record = encode("a\nb\n", tail);
    expect(record).toBe(
      '{"log":"a\\n","stream":"stderr","attrs":{"tag":"ü $& x"},"time":"T"}\n' +
        '{"log":"b\\n","stream":"stderr","attrs":{"tag":"ü $& x"},"time":"T"}\n',
    );
  });

  test("is one for each line, also for empty ones and a last one without newline", () => {
    expect(texts("a\n\nb")).toEqual(["a\n", "\n", "b"]);
  });
});

describe("a long line", () => {
  test("is cut as dockerd cuts it", () => {
    const line = (letter: string, count: number, end = "\n"): string => letter.repeat(count) + end;
    expect(texts(line("a", 16_384)).map((text) => text.length)).toEqual([16_384, 1]);
    expect(texts(line("b", 16_383)).map((text) => text.length)).toEqual([16_384]);
    expect(texts(line("c", 40_000)).map((text) => text.length)).toEqual([16_384, 16_384, 7233]);
    expect(texts(line("d", 20_000, "")).map((text) => text.length)).toEqual([16_384, 3616]);
    expect(texts(`x\n${line("e", 17_000)}y\n`).map((text) => text.length)).toEqual([2, 16_384, 617, 2]);
  });

  test("keeps its characters whole, and joined again is the same", () => {
    const line = `a${"é".repeat(20_000)}😀${"漢".repeat(10_000)}\n`;
    expect(texts(line).join("")).toBe(line);
  });

  test("comes out the same whatever the pieces it is given in", () => {
    const output = Buffer.from(`${"x".repeat(50_000)}\nshort\n${"漢".repeat(9000)}\n`);
    const whole = texts(output);
    for (const step of [1000, 16_384, 16_385, 40_000]) {
      const pieces: string[] = [];
      let pending: Buffer = Buffer.alloc(0);
      for (let at = 0; at < output.length; at += step) {
        pending = Buffer.concat([pending, output.subarray(at, at + step)]);
        const ready = recordableBytes(pending);
        if (ready > 0) pieces.push(...texts(pending.subarray(0, ready)));
        pending = pending.subarray(ready);
      }
      expect(pieces).toEqual(whole);
      expect(pending).toHaveLength(0);
    }
  });
});

test("only whole lines and full pieces are ready to be recorded", () => {
  expect(recordableBytes(Buffer.from("abc"))).toBe(0);
  expect(recordableBytes(Buffer.from("abc\nde"))).toBe(4);
  expect(recordableBytes(Buffer.alloc(RECORD_LIMIT_BYTES + 5, "x"))).toBe(RECORD_LIMIT_BYTES);
  expect(recordableBytes(Buffer.concat([Buffer.from("a\n"), Buffer.alloc(RECORD_LIMIT_BYTES * 2 + 1, "x")]))).toBe(
    RECORD_LIMIT_BYTES * 2 + 2,
  );
});

import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { expect, test } from "vitest";

import { type DecoderOptions, LogDecoder } from "./log-decoder.ts";

const OPTIONS: DecoderOptions = {
  tty: false,
  stdout: true,
  stderr: true,
  timestamps: false,
  details: false,
  mergeFrames: false,
  since: undefined,
  until: undefined,
};

interface Message {
  log: string;
  stream?: "stdout" | "stderr";
  time?: string;
  attrs?: Record<string, string>;
}

function record({ log, stream = "stdout", time = "2024-02-29T12:00:00.5Z", attrs }: Message): string {
  return `${JSON.stringify({ log, stream, ...(attrs === undefined ? {} : { attrs }), time })}\n`;
}

/** Decodes in blocks of the given size. */
function decode(log: string | Buffer, options: Partial<DecoderOptions> = {}, blockBytes = 1 << 20, complete = true): Buffer {
  const decoder = new LogDecoder({ ...OPTIONS, ...options });
  const bytes = Buffer.from(log as string); // Buffer.from takes either; its overloads do not.
  const out: Uint8Array[] = [];
  for (let from = 0; from < bytes.length; from += blockBytes) {
    // A copy that is spoilt afterwards: the decoder must not go on using a block.
    const block = Buffer.from(bytes.subarray(from, from + blockBytes));
    out.push(decoder.push(block));
    block.fill("?");
  }
  out.push(decoder.endFile(complete));
  return Buffer.concat(out);
}

function frames(bytes: Buffer): [number, string][] {
  const found: [number, string][] = [];
  for (let at = 0; at < bytes.length;) {
    const length = bytes.readUInt32BE(at + 4);
    expect([bytes[at + 1], bytes[at + 2], bytes[at + 3]]).toEqual([0, 0, 0]);
    found.push([bytes[at] ?? 0, bytes.toString("utf8", at + 8, at + 8 + length)]);
    at += 8 + length;
  }
  return found;
}

const VARIED: Message[] = [
  { log: "plain\n" },
  { log: "no newline" },
  { log: " and its rest\n" },
  { log: "\n", stream: "stderr" },
  { log: "" },
  { log: 'quotes " \\ \\n / \t \r\n', stream: "stderr" },
  { log: "back\\slash at the end\\\n" },
  { log: "control \u0000\u0001\u001b[0m \b\f\n" },
  { log: "ünïcödé € 壺 😀 \u2028\u2029\n", attrs: { a: "b" } },
  { log: '{"log":"a record","stream":"stdout","time":"x"}\n', attrs: { "k}": 'v"\\', tag: "x" } },
  { log: "x".repeat(16 * 1024), time: "2024-02-29T12:00:00Z" },
  { log: "tail\n", time: "2024-02-29T12:00:00.123456789Z" },
];

test("every text comes out as it went in, wherever the blocks are cut", () => {
  const log = VARIED.map(record).join("");
  const wanted = VARIED.map(({ log: text, stream }): [number, string] => [stream === "stderr" ? 2 : 1, text]);
  for (const blockBytes of [1, 2, 3, 7, 64, 100, 1000, 1 << 20]) expect(frames(decode(log, {}, blockBytes))).toEqual(wanted);
});

test("the same with every escape written as Docker and others write it", () => {
  const log =
    String.raw`{"log":"\u003cp\u003e \u0026 \u00e9\u20ac \ud83d\ude00 \/ \ud83d \u0000\n","stream":"stdout","time":"2024-02-29T12:00:00Z"}` +
    "\n";
  for (const blockBytes of [1, 5, 1000]) expect(frames(decode(log, {}, blockBytes))).toEqual([[1, "<p> & é€ 😀 / \ufffd \u0000\n"]]);
});

test("a terminal's output is bare", () => {
  expect(decode(VARIED.map(record).join(""), { tty: true }, 50).toString()).toBe(VARIED.map(({ log }) => log).join(""));
});

test("neighbours share frames when that is asked for, and the bytes of each stream are the same", () => {
  const messages = Array.from({ length: 5000 }, (_, n): Message => ({ log: `line ${n}\n`, stream: n % 700 < 650 ? "stdout" : "stderr" }));
  const log = messages.map(record).join("");
  const merged = frames(decode(log, { mergeFrames: true }, 10_000));
  expect(merged.length).toBeLessThan(200);
  const textOf = (stream: number): string =>
    merged
      .filter(([number]) => number === stream)
      .map(([, text]) => text)
      .join("");
  expect(textOf(1)).toBe(
    messages
      .filter(({ stream }) => stream === "stdout")
      .map(({ log: text }) => text)
      .join(""),
  );
  expect(textOf(2)).toBe(
    messages
      .filter(({ stream }) => stream === "stderr")
      .map(({ log: text }) => text)
      .join(""),
  );
});

test("only the streams that are wanted", () => {
  const log = [record({ log: "out\n" }), record({ log: "err\n", stream: "stderr" })].join("");
  expect(frames(decode(log, { stderr: false }))).toEqual([[1, "out\n"]]);
  expect(frames(decode(log, { stdout: false }))).toEqual([[2, "err\n"]]);
});

test("timestamps have nine digits and stand at the beginning of a line, also when streams mix", () => {
  const log = [
    record({ log: "one\n", time: "2024-02-29T12:00:00Z" }),
    record({ log: "two, ", time: "2024-02-29T12:00:01.5Z" }),
    record({ log: "other\n", stream: "stderr", time: "2024-02-29T12:00:02.123456Z" }),
    record({ log: "ends\n", time: "2024-02-29T12:00:03.123456789Z" }),
    record({ log: "three\n", time: "2024-02-29T12:00:04.1Z" }),
  ].join("");
  for (const mergeFrames of [false, true]) {
    for (const blockBytes of [9, 10_000]) {
      const shown = frames(decode(log, { timestamps: true, mergeFrames }, blockBytes));
      expect(shown.map(([, text]) => text).join("")).toBe(
        "2024-02-29T12:00:00.000000000Z one\n2024-02-29T12:00:01.500000000Z two, 2024-02-29T12:00:02.123456000Z other\n" +
          "ends\n2024-02-29T12:00:04.100000000Z three\n",
      );
    }
  }
});

test("details are sorted and escaped as in a query; a blank stands for none", () => {
  const attrs = { b: "1 2", a: "x=y&z", "ü!": "'()*%" };
  const log = record({ log: "line\n", attrs }) + record({ log: "bare\n" });
  expect(frames(decode(log, { details: true }))).toEqual([
    [1, "a=x%3Dy%26z,b=1+2,%C3%BC%21=%27%28%29%2A%25 line\n"],
    [1, " bare\n"],
  ]);
  expect(frames(decode(log, { details: true, timestamps: true }))[1]).toEqual([1, "2024-02-29T12:00:00.500000000Z  bare\n"]);
});

test("since and until include their own instant", () => {
  const log = [1, 2, 3, 4].map((second) => record({ log: `${second}\n`, time: `2024-02-29T12:00:0${second}.5Z` })).join("");
  const shown = (since?: string, until?: string): string => decode(log, { tty: true, since, until }).toString();
  expect(shown("2024-02-29T12:00:02.500000000Z")).toBe("2\n3\n4\n");
  expect(shown("2024-02-29T12:00:02.500000001Z")).toBe("3\n4\n");
  expect(shown(undefined, "2024-02-29T12:00:02.500000000Z")).toBe("1\n2\n");
  expect(shown("2024-02-29T12:00:02.000000000Z", "2024-02-29T12:00:03.999999999Z")).toBe("2\n3\n");
});

test("a time has any number of digits", () => {
  const times = ["", ".1", ".12", ".123", ".1234", ".12345", ".123456", ".1234567", ".12345678", ".123456789"];
  const log = times.map((fraction) => record({ log: "x\n", time: `2024-02-29T12:00:00${fraction}Z` })).join("");
  const shown = decode(log, { tty: true, timestamps: true }).toString();
  expect(shown).toBe(times.map((fraction) => `2024-02-29T12:00:00.${fraction.slice(1).padEnd(9, "0")}Z x\n`).join(""));
});

test("a record of another shape is read all the same", () => {
  const log = '{"time":"2024-02-29T13:00:00.5+01:00", "stream":"stderr", "log":"odd\\n", "more":1}\n' + record({ log: "usual\n" });
  expect(frames(decode(log, { timestamps: true }))).toEqual([
    [2, "2024-02-29T12:00:00.500000000Z odd\n"],
    [1, "2024-02-29T12:00:00.500000000Z usual\n"],
  ]);
});

const whole = record({ log: "whole\n" });
test.each([
  ["zeros", Buffer.concat([Buffer.alloc(4096), Buffer.from(whole)]), 4096],
  ["a line that is no JSON", `garbage\n${whole}`, 8],
  ["an empty line", `\n${whole}`, 1],
  ["half a record with its newline", `${whole.slice(0, 40)}\n${whole}`, 41],
  ["half a record without", `${whole.slice(0, 12)}${whole}`, 12],
  ["half a record, then zeros", Buffer.concat([Buffer.from(whole.slice(0, 20)), Buffer.alloc(100), Buffer.from(whole)]), 120],
  ["JSON that is no record", `{"log":1,"stream":"stdout","time":"2024-02-29T12:00:00Z"}\n${whole}`, 58],
  ["a stream that is none", `{"log":"x","stream":"stdlog","time":"2024-02-29T12:00:00Z"}\n${whole}`, 60],
  ["a time that is none", `{"log":"x","stream":"stdout","time":"yesterday"}\n${whole}`, 49],
  ["two damaged lines in a row", `a\nb\n${whole}`, 4],
])("%s is skipped, told, and what follows is read", (_, log, damagedBytes) => {
  const before = record({ log: "before\n" });
  for (const blockBytes of [1, 100, 1 << 20]) {
    expect(frames(decode(Buffer.concat([Buffer.from(before), Buffer.from(log as string)]), {}, blockBytes))).toEqual([
      [1, "before\n"],
      [2, `tsubo: ${damagedBytes} bytes of the log are damaged and left out here\n`],
      [1, "whole\n"],
    ]);
  }
});

test("the beginning of a record at the end is damage only when nothing more comes", () => {
  const torn = whole + whole.slice(0, 30);
  expect(frames(decode(torn, {}, 1000, true)).at(-1)).toEqual([2, "tsubo: 30 bytes of the log are damaged and left out here\n"]);
  expect(frames(decode(torn, {}, 1000, false))).toEqual([[1, "whole\n"]]);
});

test("something without end takes no memory and is skipped", () => {
  const decoder = new LogDecoder(OPTIONS);
  const block = Buffer.alloc(256 * 1024, "x");
  const before = arrayBuffersInUse();
  for (let n = 0; n < 200; n += 1) expect(decoder.push(block)).toHaveLength(0);
  expect(arrayBuffersInUse() - before).toBeLessThan(4 * 1024 * 1024);
  const after = frames(Buffer.from(decoder.push(Buffer.from(`\n${whole}`))));
  expect(after).toEqual([
    [2, `tsubo: ${200 * block.length + 1} bytes of the log are damaged and left out here\n`],
    [1, "whole\n"],
  ]);
});

test("random damage never stops the reading, and every whole record comes out", () => {
  const random = seeded(42);
  for (let round = 0; round < 300; round += 1) {
    const kept: string[] = [];
    const parts: Buffer[] = [];
    for (let n = 0; n < 20; n += 1) {
      const text = `r${round} n${n} ${'"\\é\n'[random(4)]} ${"y".repeat(random(50))}\n`;
      const bytes = Buffer.from(record({ log: text, stream: random(2) === 0 ? "stdout" : "stderr" }));
      if (random(4) > 0) {
        kept.push(text);
        parts.push(bytes);
      } else if (random(2) === 0) parts.push(bytes.subarray(0, random(bytes.length - 1)));
      else parts.push(Buffer.alloc(random(30), random(256)));
    }
    const shown = frames(decode(Buffer.concat(parts), {}, 1 + random(300))).map(([, text]) => text);
    for (const text of kept) expect(shown).toContain(text);
  }
});

/** Of what is still referred to: garbage that was not collected yet is none of the decoder's doing. */
function arrayBuffersInUse(): number {
  setFlagsFromString("--expose-gc");
  // The function is made by the flag.
  const collect = runInNewContext("gc") as () => void;
  collect();
  // Buffers found dead are freed by another thread, which the next collection waits for.
  collect();
  return process.memoryUsage().arrayBuffers;
}

function seeded(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return (state >>> 8) % below;
  };
}

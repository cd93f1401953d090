import { expect, test } from "vitest";

import { detachKeyFilter, parseDetachKeys } from "./detach-keys.ts";
import { frameReader } from "./frames.ts";

const frame = (stream: number, payload: string): Buffer => {
  const header = Buffer.alloc(8);
  header[0] = stream;
  header.writeUInt32BE(Buffer.byteLength(payload), 4);
  return Buffer.concat([header, Buffer.from(payload)]);
};

function readAll(chunks: readonly Uint8Array[]): { out: string; err: string } {
  const got = { out: "", err: "" };
  const read = frameReader({
    stdout: (data) => (got.out += Buffer.from(data).toString()),
    stderr: (data) => (got.err += Buffer.from(data).toString()),
  });
  for (const chunk of chunks) read(chunk);
  return got;
}

test("frames are put together again wherever they were cut", () => {
  const all = Buffer.concat([frame(1, "out"), frame(2, "error"), frame(1, ""), frame(1, "more")]);
  for (let size = 1; size <= all.length; size += 1) {
    const chunks = Array.from({ length: Math.ceil(all.length / size) }, (_, at) => all.subarray(at * size, (at + 1) * size));
    expect(readAll(chunks)).toEqual({ out: "outmore", err: "error" });
  }
});

test("an error of the engine's and what is no frame are errors", () => {
  expect(() => readAll([frame(3, "the disk is gone")])).toThrow("error from daemon in stream: the disk is gone");
  expect(() => readAll([Buffer.from("plain text, no frames")])).toThrow("Unrecognized input header: 112");
});

test("detach keys are letters and control characters", () => {
  expect(parseDetachKeys("ctrl-p,ctrl-q,a,ctrl-@,ctrl-[,ctrl-_")).toEqual([16, 17, 97, 0, 27, 31]);
  for (const bad of ["", "ab", "ctrl-1", "ctrl-p,", "alt-x"]) expect(() => parseDetachKeys(bad)).toThrow("Unknown character");
});

test.each([
  ["typed whole", ["a\x10\x11"], undefined],
  ["typed one by one", ["\x10", "\x11"], undefined],
  ["broken off", ["\x10", "x\x11"], "\x10x\x11"],
  ["begun twice", ["\x10\x10", "\x11"], undefined],
  ["begun and not ended", ["a\x10"], "a"],
])("the sequence %s", (_name, typed, expected) => {
  const filter = detachKeyFilter(parseDetachKeys("ctrl-p,ctrl-q"));
  let passed: string | undefined = "";
  for (const text of typed) {
    const out = filter(Buffer.from(text));
    passed = out === undefined ? undefined : passed + Buffer.from(out).toString();
  }
  expect(passed).toBe(expected);
});

import { describe, expect, test } from "vitest";
import { EngineError } from "../base/errors.ts";
import {
  decodeError,
  decodeEvent,
  encodeError,
  encodeEvent,
  encodeLine,
  LINE_LIMIT_BYTES,
  LineReader,
  versionProblem,
} from "./protocol.ts";

describe("lines", () => {
  test("arrive whole however they are cut", () => {
    const bytes = Buffer.from(["one", "zwei ü", ""].map((text) => encodeLine({ text })).join(""));
    for (const step of [1, 3, bytes.length]) {
      const reader = new LineReader();
      const lines: string[] = [];
      for (let at = 0; at < bytes.length; at += step) lines.push(...reader.feed(bytes.subarray(at, at + step)));
      expect(lines.map((line) => JSON.parse(line) as unknown)).toEqual([{ text: "one" }, { text: "zwei ü" }, { text: "" }]);
    }
  });

  test("that never end are refused", () => {
    const reader = new LineReader();
    expect(() => {
      for (let size = 0; size <= LINE_LIMIT_BYTES; size += 1024 * 1024) reader.feed(Buffer.alloc(1024 * 1024, "x"));
    }).toThrow("too long");
  });
});

test("an exit goes over the wire to the nanosecond", () => {
  const exit = { exitCode: 137, finishedAtNs: 1_766_000_000_123_456_789n, oomKilled: true, error: "why" };
  const event = { type: "exit", containerId: "c", exit } as const;
  expect(decodeEvent(JSON.parse(JSON.stringify(encodeEvent(event))) as ReturnType<typeof encodeEvent>)).toEqual(event);
});

test("an error keeps its kind", () => {
  const error = decodeError(encodeError(new EngineError("conflict", "busy")));
  expect(error).toMatchObject({ kind: "conflict", message: "busy" });
  expect(encodeError(new Error("x"))).toEqual({ kind: "system", message: "x" });
});

test("another minor version is no problem, another major one is", () => {
  expect(versionProblem({ major: 1, minor: 0 }, { major: 1, minor: 7 })).toBeUndefined();
  expect(versionProblem({ major: 1, minor: 0 }, { major: 2, minor: 0 })).toContain("the keeper speaks protocol 1.0, this daemon 2.0");
});

import { expect, test } from "vitest";

import { parseDuration } from "./duration.ts";

test.each([
  ["0", 0],
  ["-0", 0],
  ["1ns", 1],
  ["1us", 1e3],
  ["1µs", 1e3],
  ["1ms", 1e6],
  ["30s", 30e9],
  ["1m30s", 90e9],
  ["1h", 3600e9],
  ["1.5h", 5400e9],
  [".5s", 5e8],
  ["5.s", 5e9],
  ["+2s", 2e9],
  ["-2s", -2e9],
  ["1h2m3s4ms", 3723e9 + 4e6],
])("%s", (text, durationNs) => {
  expect(parseDuration(text) + 0).toBe(durationNs);
});

test.each([
  ["", 'time: invalid duration ""'],
  ["+", 'time: invalid duration "+"'],
  ["s", 'time: invalid duration "s"'],
  [".s", 'time: invalid duration ".s"'],
  ["1", 'time: missing unit in duration "1"'],
  ["1m30", 'time: missing unit in duration "1m30"'],
  ["1x", 'time: unknown unit "x" in duration "1x"'],
  ["1d", 'time: unknown unit "d" in duration "1d"'],
  ["1 s", 'time: unknown unit " s" in duration "1 s"'],
  ["9999999h", 'time: invalid duration "9999999h"'],
])("%j is none", (text, message) => {
  expect(() => parseDuration(text)).toThrow(message);
});

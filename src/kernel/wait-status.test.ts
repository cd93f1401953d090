import { expect, test } from "vitest";
import { exitCodeOf } from "./wait-status.ts";

test("a wait status becomes the code a shell would show", () => {
  expect(exitCodeOf(0)).toBe(0);
  expect(exitCodeOf(7 << 8)).toBe(7);
  expect(exitCodeOf(255 << 8)).toBe(255);
  expect(exitCodeOf(9)).toBe(137);
  expect(exitCodeOf(11 | 0x80)).toBe(139);
});

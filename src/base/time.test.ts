import { expect, test } from "vitest";

import { formatLogTime, formatTime, parseTimestamp } from "./time.ts";

test("a timestamp is Unix seconds with a fraction, or RFC 3339", () => {
  expect(parseTimestamp("1136073600.000000001")).toBe(1_136_073_600_000_000_001n);
  expect(parseTimestamp("1.5")).toBe(1_500_000_000n);
  expect(parseTimestamp("0")).toBe(0n);
  expect(parseTimestamp("-1")).toBe(-1_000_000_000n);
  expect(parseTimestamp("2024-02-29T12:00:00.123456789Z")).toBe(1_709_208_000_123_456_789n);
  expect(parseTimestamp("2024-02-29T13:00:00+01:00")).toBe(1_709_208_000_000_000_000n);
  for (const bad of ["", "x", "1,5", "2024-02-29", "2024-13-01T00:00:00Z", "1e3"]) expect(parseTimestamp(bad)).toBeUndefined();
});

test("times are written with the digits they need, log times with nine", () => {
  expect(formatTime(1_709_208_000_120_000_000n)).toBe("2024-02-29T12:00:00.12Z");
  expect(formatTime(1_709_208_000_000_000_000n)).toBe("2024-02-29T12:00:00Z");
  expect(formatLogTime(1_709_208_000_120_000_000n)).toBe("2024-02-29T12:00:00.120000000Z");
});

import { expect, test } from "vitest";

import { formatPlatform, parsePlatform } from "./platform.ts";

const HOST = process.arch === "x64" ? "amd64" : process.arch;

test.each([
  ["linux", `linux/${HOST}`],
  ["macos", `darwin/${HOST}`],
  ["arm64", "linux/arm64"],
  ["aarch64", "linux/arm64"],
  ["armhf", "linux/arm"],
  ["armel", "linux/arm/v6"],
  ["i386", "linux/386"],
  ["Linux/X86_64", "linux/amd64"],
  ["linux/amd64/v1", "linux/amd64"],
  ["linux/amd64/v2", "linux/amd64/v2"],
  ["linux/arm64/v8", "linux/arm64/v8"],
  ["linux/arm/7", "linux/arm/v7"],
  ["foo/bar", "foo/bar"],
])("%s is %s", (text, expected) => {
  expect(formatPlatform(parsePlatform(text))).toBe(expected);
});

test("a version of the system is kept", () => {
  expect(parsePlatform("windows(10.0)/amd64")).toEqual({ architecture: "amd64", os: "windows", "os.version": "10.0" });
});

test.each([
  ["foo", '"foo": unknown operating system or architecture: invalid argument'],
  ["a/b/c/d", '"a/b/c/d": cannot parse platform specifier: invalid argument'],
  ["linux/", '"" is an invalid component of "linux/": platform specifier component must match "^[A-Za-z0-9_.-]+$": invalid argument'],
  [
    "a b",
    '"a b" is an invalid OS component of "a b": OSAndVersion specifier component must match "^([A-Za-z0-9_-]+)(?:\\\\(([A-Za-z0-9_.-]*)\\\\))?$": invalid argument',
  ],
])("%s is refused", (text, message) => {
  expect(() => parsePlatform(text)).toThrow(message);
});

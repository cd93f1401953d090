import { expect, test } from "vitest";

import { choosePlatform, formatPlatform, hostPlatform, parsePlatform } from "./platform.ts";

test.each([
  ["linux/amd64", "linux/amd64"],
  ["Linux/X86_64", "linux/amd64"],
  ["linux/amd64/v3", "linux/amd64/v3"],
  ["linux/aarch64", "linux/arm64/v8"],
  ["linux/arm/v7", "linux/arm/v7"],
  ["linux/armel", "linux/arm/v6"],
  ["windows(10.0.17763)/amd64", "windows/amd64"],
  ["i386", "linux/386"],
  ["s390x", "linux/s390x"],
  ["linux", formatPlatform(hostPlatform())],
  ["plan9/own", "plan9/own"],
])("%s means %s", (text, meaning) => {
  expect(formatPlatform(parsePlatform(text))).toBe(meaning);
});

test.each([
  ["lunix", '"lunix": unknown operating system or architecture: invalid argument'],
  ["linux/*", '"linux/*": wildcards not yet supported: invalid argument'],
  ["linux/", '"" is an invalid component of "linux/": platform specifier component must match "^[A-Za-z0-9_.-]+$": invalid argument'],
  ["linux/a/b/c", '"linux/a/b/c": cannot parse platform specifier: invalid argument'],
  ["li nux/a", expect.stringContaining('"li nux" is an invalid OS component of "li nux/a"')],
])("%s is refused in Docker's words", (text, message) => {
  expect(() => parsePlatform(text)).toThrow(expect.objectContaining({ kind: "invalid", message }));
});

test.each([
  ["linux/amd64", ["linux/arm64", "linux/386", "linux/amd64"], "linux/amd64"],
  ["linux/amd64", ["linux/amd64/v3", "linux/386"], "linux/386"],
  ["linux/amd64/v3", ["linux/amd64", "linux/amd64/v2", "linux/amd64/v4"], "linux/amd64/v2"],
  ["linux/arm/v7", ["linux/arm/v5", "linux/arm/v6", "linux/arm64"], "linux/arm/v6"],
  ["linux/arm64", ["linux/arm/v7", "linux/amd64"], "linux/arm/v7"],
  ["linux/amd64", ["windows/amd64", "linux/s390x"], undefined],
])("for %s, of %j, %s is taken", (wanted, offered, best) => {
  const index = choosePlatform(parsePlatform(wanted), [undefined, ...offered.map(parsePlatform)]);
  expect(index === undefined ? undefined : offered[index - 1]).toBe(best);
});

import { expect, test } from "vitest";

import { parseEntryPath, printable } from "./entry-path.ts";

test.each([
  ["a", "", "a"],
  ["./a/b/", "a", "b"],
  ["/a//b/./c", "a/b", "c"],
  ["a/../b", "", "b"],
  ["/../../a", "", "a"],
  [".", "", ""],
  ["/", "", ""],
  ["", "", ""],
  ["a/..b/c..", "a/..b", "c.."],
])("%j is in %j and called %j", (name, folder, last) => {
  expect(parseEntryPath(name)).toEqual({ folder, name: last });
});

test.each(["..", "../a", "a/../../b", "./../a"])("%s leads out", (name) => {
  expect(() => parseEntryPath(name)).toThrow(`"${name}" leads out of the layer`);
});

test("a path that the kernel would not take is refused", () => {
  expect(() => parseEntryPath("a/".repeat(2000))).toThrow("the path is 3999 bytes long (at most 3800)");
});

test("names are shown without what could harm a terminal", () => {
  expect(printable(Buffer.from("ä\u001b[31m\n", "utf8").toString("latin1"))).toBe("ä?[31m?");
  expect(printable("x".repeat(500))).toBe(`${"x".repeat(200)}…`);
});

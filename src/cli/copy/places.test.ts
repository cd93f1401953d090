import { expect, test } from "vitest";

import { absolutePath, keepName, nameOf, planCopy, splitArgument, splitPath, type Place } from "./places.ts";

test.each([
  ["box:/a", "box", "/a"],
  ["box:a:b", "box", "a:b"],
  ["box:", "box", ""],
  ["/a:b", "", "/a:b"],
  ["./a:b", "", "./a:b"],
  ["../a:b", "", "../a:b"],
  ["a", "", "a"],
  ["-", "", "-"],
])("%s names a container or it does not", (argument, container, path) => {
  expect(splitArgument(argument)).toEqual({ container, path });
});

test.each([
  ["/a/b", "/a", "b"],
  ["/a/b/", "/a", "b"],
  ["/a/b/.", "/a/b", "."],
  ["/a//b/../c", "/a", "c"],
  ["/", "/", "/"],
  ["/.", "/", "."],
  ["a", ".", "a"],
])("%s is in a folder", (path, folder, name) => {
  expect(splitPath(path)).toEqual({ folder, name });
});

test("a path keeps its end", () => {
  expect(["/a/", "/a/.", "/a//../b", "/a/./"].map(absolutePath)).toEqual(["/a/", "/a/.", "/b", "/a/."]);
  expect(keepName("/l", "/x/target")).toEqual({ path: "/x/target", calledAs: "l" });
  expect(keepName("/l/", "/x/target")).toEqual({ path: "/x/target/", calledAs: "l" });
  expect(keepName("/l/.", "/x/target")).toEqual({ path: "/x/target/." });
  expect(keepName("/x/same", "/y/same")).toEqual({ path: "/y/same" });
  expect(nameOf({ path: "/x/target", exists: true, isFolder: false, calledAs: "l" })).toBe("l");
});

const FILE: Place = { path: "/s/f", exists: true, isFolder: false };
const FOLDER: Place = { path: "/s/d", exists: true, isFolder: true };
const place = (path: string, kind: "file" | "folder" | "nothing"): Place => ({
  path,
  exists: kind !== "nothing",
  isFolder: kind === "folder",
});

test.each([
  [FILE, place("/t/d", "folder"), { folder: "/t/d" }],
  [FOLDER, place("/t/d/", "folder"), { folder: "/t/d/" }],
  [FILE, place("/t/f", "file"), { folder: "/t", newName: "f" }],
  [FILE, place("/t/new", "nothing"), { folder: "/t", newName: "new" }],
  [FOLDER, place("/t/new", "nothing"), { folder: "/t", newName: "new" }],
  [FOLDER, place("/t/new/", "nothing"), { folder: "/t", newName: "new" }],
])("$path to $path", (source, target, plan) => {
  expect(planCopy(source, target)).toEqual(plan);
});

test("what cannot be", () => {
  expect(() => planCopy(FOLDER, place("/t/f", "file"))).toThrow("cannot copy directory");
  expect(() => planCopy(FILE, place("/t/new/", "nothing"))).toThrow("no such directory");
});

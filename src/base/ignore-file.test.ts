import { describe, expect, test } from "vitest";

import { compileGlob } from "./glob.ts";
import { IgnoreMatcher, MAX_IGNORE_PATTERNS, parseIgnoreFile } from "./ignore-file.ts";

describe("lines of an ignore file", () => {
  test.each([
    ["a\nb\n", ["a", "b"]],
    ["\ufeffa\r\n  b  \r\n\r\n", ["a", "b"]],
    ["#a\n #b\n", ["#b"]],
    ["/a\n//b\n/\n", ["a", "b", "/"]],
    ["a/\na//b/../c\n./d\n", ["a", "a/c", "d"]],
    ["!a\n! /b\n!/c/\n", ["!a", "!b", "!c"]],
    ["!", ["!"]],
  ])("%j", (text, patterns) => {
    expect(parseIgnoreFile(text)).toEqual(patterns);
  });
});

describe("what is ignored", () => {
  test.each<[patterns: string[], ignored: string[], kept: string[]]>([
    [[], [], ["a"]],
    [["a"], ["a", "a/b", "a/b/c"], ["b", "ab", "b/a"]],
    [["a/b"], ["a/b", "a/b/c"], ["a", "a/c", "b"]],
    [["a/"], ["a", "a/b"], ["b"]],
    [["*"], ["a", "a/b", ".x"], ["."]],
    [["*.o"], ["a.o", ".o", "a.o/b"], ["a.oo", "b/a.o"]],
    [["*/*.o"], ["b/a.o"], ["a.o", "c/b/a.o"]],
    [["?"], ["a", "ü", "a/bb"], ["ab"]],
    [["a?c"], ["abc"], ["a/c", "ac"]],
    [["**"], ["a", "a/b"], []],
    [["**/a"], ["a", "b/a", "c/b/a", "b/a/x"], ["ba", "b/ba"]],
    [["**/*.o"], ["a.o", "b/a.o", "c/b/a.o"], ["a.c"]],
    [["a/**"], ["a/b", "a/b/c"], ["a", "b"]],
    [["a/**/b"], ["a/b", "a/x/b", "a/x/y/b"], ["a", "ab", "a/xb"]],
    [["a**b"], ["ab", "a/b", "axb/b"], ["axb"]],
    [["a**"], ["a", "ab", "ab/c", "a/b"], ["ba"]],
    [["**a"], ["a", "ba", "c/ba"], ["ab"]],
    [["**a*"], ["a", "ab", "c/ab"], ["ba"]],
    [["**/**/a"], ["a", "b/a", "c/b/a"], ["ba"]],
    [["[a-c]"], ["a", "b", "c"], ["d", "ab"]],
    [["[^a-c]x"], ["dx"], ["ax", "x"]],
    [["[a\\-]"], ["a", "-"], ["b"]],
    [["\\*"], ["*"], ["a"]],
    [["a.b"], ["a.b"], ["axb"]],
    [["(a)+{1}|$^"], ["(a)+{1}|$^"], ["a"]],
    [["a b"], ["a b"], ["a"]],
    [["."], [], ["a", "."]],
    [["/"], [], ["a"]],
    [
      ["*", "!a"],
      ["b", "c/a"],
      ["a", "a/b"],
    ],
    [
      ["*", "!a/b"],
      ["a", "a/c"],
      ["a/b", "a/b/c"],
    ],
    [
      ["*", "!**/*.go"],
      ["a", "a.c", "a/b.c"],
      ["a.go", "a/b.go"],
    ],
    [["!a", "a"], ["a"], []],
    [
      ["a", "!a", "a/b"],
      ["a/b", "a/b/c"],
      ["a", "a/c"],
    ],
    [["a", "!a/b", "a"], ["a", "a/c"], ["a/b"]],
    [
      ["a/b", "!a*"],
      ["a/b", "a/b/c"],
      ["a", "a/c", "ab"],
    ],
    [
      ["*", "a/b", "!a*"],
      ["b", "c/a"],
      ["a", "a/b", "a/c"],
    ],
    [
      ["*.md", "!README*.md", "README-secret.md"],
      ["x.md", "README-secret.md"],
      ["README.md", "README-a.md"],
    ],
    [
      ["a", "!a/b", "a/b/c", "!a/b/c/d"],
      ["a", "a/x", "a/b/c", "a/b/c/e"],
      ["a/b", "a/b/c/d"],
    ],
  ])("%j", (patterns, ignored, kept) => {
    const matcher = new IgnoreMatcher(patterns);
    const isIgnored = (file: string): boolean => matcher.isIgnored(file);
    expect([...ignored, ...kept].filter((file) => isIgnored(file))).toEqual(ignored);
  });
});

test.each<[patterns: string[], folders: string[], closed: string[]]>([
  [["*"], [], ["a"]],
  [["*", "!a/b"], ["a"], ["b", "ab", "a/c"]],
  [
    ["*", "!a/b/c"],
    ["a", "a/b"],
    ["b", "a/c"],
  ],
  [["*", "!**/x"], ["a", "a/b"], []],
  [
    ["*", "!a/*/x"],
    ["a", "a/q"],
    ["b", "a/q/z"],
  ],
  [["*", "!a/**"], ["a", "a/b/c"], ["b"]],
  [["*", "!*.go"], [], ["a", "a.go"]],
])("%j: folders that exceptions may be in", (patterns, folders, closed) => {
  const matcher = new IgnoreMatcher(patterns);
  expect([...folders, ...closed].filter((folder) => matcher.mayHoldIncluded(folder))).toEqual(folders);
});

test.each(["[", "[]", "[]a]", "[a-", "[a-]", "[-x]", "[x-]", "a\\", "[\\", "[^]"])("%s is malformed", (pattern) => {
  expect(() => new IgnoreMatcher([pattern])).toThrow(`invalid pattern ${JSON.stringify(pattern)}: syntax error in pattern`);
});

test("an exception of nothing is an error", () => {
  expect(() => new IgnoreMatcher(["!"])).toThrow('illegal exclusion pattern: "!"');
});

test("without double stars a pattern is Go's filepath.Match", () => {
  const glob = compileGlob("a/**/c", { doubleStar: false });
  expect(["a/b/c", "a/c", "a/b/d/c"].map((path) => glob.matches(path))).toEqual([true, false, false]);
});

test("no pattern takes forever", () => {
  const matcher = new IgnoreMatcher(["**/*a*a*a*a*a*a*a*a*a*a*b", "*a*".repeat(30)]);
  expect(matcher.isIgnored(`${"a".repeat(200)}/${"a".repeat(200)}`)).toBe(true);
  expect(() => parseIgnoreFile("a\n".repeat(MAX_IGNORE_PATTERNS + 1))).toThrow("more than");
});

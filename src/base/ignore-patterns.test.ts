import { expect, test } from "vitest";

import { compileIgnorePatterns, parseIgnoreFile } from "./ignore-patterns.ts";

test("a file's lines: comments, blanks and what paths can be said shorter by", () => {
  const text = "\uFEFF# comment\n\n  a/b/  \r\n/c\n./d/../e\n! f\n!/g/\n #h\n/\n../x\n! \n";
  expect(parseIgnoreFile(text)).toEqual(["a/b", "c", "e", "!f", "!g", "#h", "/", "../x", "!"]);
});

test.each<[string, string[], string[]]>([
  ["a", ["a", "a/b", "a/b/c"], ["b/a", "ab", "A"]],
  ["*", ["a", "a/b", ".x"], []],
  ["*.go", ["a.go", "a.go/x"], ["d/a.go", "a.gox"]],
  ["*/*.go", ["d/a.go"], ["a.go", "d/e/a.go"]],
  ["?x", ["ax", "éx"], ["x", "/x", "abx"]],
  ["**", ["a", "a/b"], []],
  ["**/a", ["a", "b/a", "b/c/a", "b/a/x"], ["ab", "b/ca"]],
  ["**/*.go", ["a.go", "b/c/a.go"], ["a.g"]],
  ["a/**", ["a/b", "a/b/c"], ["a", "ab"]],
  ["a/**/b", ["a/b", "a/x/b", "a/x/y/b"], ["ab", "a/xb"]],
  ["a/**/*.md", ["a/x.md", "a/b/c/x.md"], ["x.md"]],
  ["**.md", ["x.md", "a/b/x.md"], ["x.mdx"]],
  ["[a-c]x", ["ax", "cx"], ["dx", "x"]],
  ["[^a-c]x", ["dx"], ["ax"]],
  ["\\*x", ["*x"], ["ax"]],
  ["a\\?", ["a?"], ["ab"]],
  ["a.b+(c)", ["a.b+(c)"], ["axb+(c)", "a.bb(c)"]],
  ["./a//b/", ["a/b"], ["a"]],
])("%s", (pattern, ignored, kept) => {
  const patterns = compileIgnorePatterns([pattern]);
  expect(ignored.filter((path) => !patterns.ignores(path))).toEqual([]);
  expect(kept.filter((path) => patterns.ignores(path))).toEqual([]);
});

test("the last line that matches decides, and a folder's content follows it", () => {
  const patterns = compileIgnorePatterns(["*", "!docs", "docs/*.md", "!docs/README.md", "**/tmp"]);
  const verdicts = ["x", "docs", "docs/a", "docs/a.md", "docs/README.md", "docs/tmp", "docs/tmp/README.md"].map((path) =>
    patterns.ignores(path),
  );
  expect(verdicts).toEqual([true, false, false, true, false, true, true]);
});

test("a folder that is left out is looked into where a later line may take something back", () => {
  const patterns = compileIgnorePatterns(["*", "!a/b/c", "!d/*/e"]);
  expect(["a", "a/b", "a/c", "d", "d/x", "e"].filter((folder) => patterns.mayKeepBelow(folder))).toEqual(["a", "a/b", "d", "d/x"]);
  expect(compileIgnorePatterns(["a", "!**/*.md"]).mayKeepBelow("a")).toBe(true);
  expect(compileIgnorePatterns(["a"]).mayKeepBelow("a")).toBe(false);
});

test.each(["a[]x", "a[b", "a\\", "[a-]"])("%s is no pattern", (pattern) => {
  expect(() => compileIgnorePatterns([pattern])).toThrow("syntax error in pattern");
});

test("a lone ! is none, and a pattern made to be slow is not", () => {
  expect(() => compileIgnorePatterns(["!"])).toThrow('illegal exclusion pattern: "!"');
  expect(compileIgnorePatterns([`${"*a".repeat(200)}b`]).ignores("a".repeat(2000))).toBe(false);
});

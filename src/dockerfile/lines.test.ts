import { describe, expect, test } from "vitest";

import { LineReader } from "./lines.ts";
import { DockerfileError } from "./dockerfile-error.ts";
import { MAX_HEREDOC_BYTES, MAX_LINE_BYTES } from "./syntax.ts";

/** All logical lines, trimmed at the end as statements are. */
function lines(source: string): string[] {
  const reader = new LineReader(source);
  const found: string[] = [];
  for (let line = reader.next(); line !== undefined; line = reader.next()) found.push(line.text);
  return found;
}

describe("logical lines", () => {
  test.each<[string, string[]]>([
    ["", []],
    ["\n\n", []],
    ["# a\n  # b\n", []],
    ["a", ["a"]],
    ["a\n", ["a"]],
    ["a\r\nb\r\n", ["a", "b"]],
    ["a\r\r\n", ["a"]],
    ["a\rb\n", ["a\rb"]],
    ["  a  \n\tb\n", ["a  ", "b"]],
    ["\u00a0a\n", ["a"]],
    ["a\\\nb\n", ["ab"]],
    ["a \\\n  b\n", ["a   b"]],
    ["a \\ \t \n b\n", ["a  b"]],
    ["a \\\r\n b\r\n", ["a  b"]],
    ["a\\\\\nb\n", ["a\\\\", "b"]],
    ["a\\\\\\\nb\n", ["a\\\\\\", "b"]],
    ["\\\na\n", ["a"]],
    ["\\\n\\\na\n", ["a"]],
    ["a \\\n\\\nb\n", ["a b"]],
    ["a \\\n# c\nb\n", ["a b"]],
    ["a \\\n   # c \\\n b\n", ["a  b"]],
    ["a \\\n# c\n# d\n", ["a "]],
    ["a \\\n\n\n b\nc\n", ["a  b", "c"]],
    ["a \\\n", ["a "]],
    ["a \\", ["a "]],
    ["a # b\n", ["a # b"]],
    ["a \\\n b # c \\\n d\n", ["a  b # c  d"]],
    ["# escape=`\na `\nb\\\n", ["a b\\"]],
    ["# escape=`\na ``\nb\n", ["a ``", "b"]],
  ])("%j", (source, expected) => {
    expect(lines(source)).toEqual(expected);
  });
});

describe("directives", () => {
  const directives = (source: string) => {
    const reader = new LineReader(source);
    while (reader.next() !== undefined);
    return reader.directives;
  };

  test.each([
    ["a\n", { escape: "\\" }],
    ["# escape=`\n", { escape: "`" }],
    ["#escape=`\n", { escape: "`" }],
    ["#  ESCAPE  =  `  \n", { escape: "`" }],
    ["  # escape=`\n", { escape: "`" }],
    ["# escape=\\\n", { escape: "\\" }],
    ["# syntax=docker/dockerfile:1\n# escape=`\n", { syntax: "docker/dockerfile:1", escape: "`" }],
    ["# syntax=docker/dockerfile:1 # newest\n", { syntax: "docker/dockerfile:1", escape: "\\" }],
    ["# escape=`\r\na\r\n", { escape: "`" }],
    // Behind anything else it is a comment.
    ["\n# escape=`\n", { escape: "\\" }],
    ["# hello\n# escape=`\n", { escape: "\\" }],
    ["# unknown=x\n# escape=`\n", { escape: "\\" }],
    ["a\n# escape=`\n", { escape: "\\" }],
    ["# escape=\n", { escape: "\\" }],
    ["# escape\n", { escape: "\\" }],
    ["## escape=`\n", { escape: "\\" }],
    ["# check=skip=A,B;error=true\n", { check: { skip: ["A", "B"], error: true, skipAll: false } }],
    ["# check=skip=all;experimental=C\n", { check: { skipAll: true, experimental: ["C"], error: false } }],
    ["# check=experimental=all\n", { check: { experimentalAll: true } }],
  ])("%j", (source, expected) => {
    expect(directives(source)).toMatchObject(expected);
  });

  test.each([
    ["# escape=x\n", "invalid escape token 'x' does not match ` or \\"],
    ["# escape=``\n", "invalid escape token '``' does not match ` or \\"],
    ["# escape=`\n# escape=`\n", "only one escape parser directive can be used"],
    ["# syntax=a\n# Syntax=b\n", "only one syntax parser directive can be used"],
    ["# check=skip\n", 'invalid check option "skip"'],
    ["# check=what=x\n", 'invalid check option "what"'],
    ["# check=error=perhaps\n", 'failed to parse check option "error": perhaps'],
  ])("%j is wrong", (source, message) => {
    expect(() => directives(source)).toThrow(message);
  });
});

test("comments above an instruction", () => {
  const reader = new LineReader("# syntax=x\n# a\n#  b \nfirst\nsecond\n# c\n#\n# d\nthird\n# e\n\nfourth\n# f\nfifth \\\n# g\n x\n");
  const comments: string[][] = [];
  for (let line = reader.next(); line !== undefined; line = reader.next()) comments.push(line.comments);
  expect(comments).toEqual([["a", "b"], [], ["d"], [], ["f"]]);
});

test("characters keep their place in the file", () => {
  const source = "\n  ab \\\n# no\n\tcd\\\nef\n";
  const line = new LineReader(source).next();
  expect(line?.text).toBe("ab \tcdef");
  const places = Array.from(line?.text ?? "", (_, offset) => line?.positionOf(offset));
  const sourceLines = source.split("\n");
  expect(places.map((place) => sourceLines[(place?.line ?? 0) - 1]?.charAt(place?.column ?? 0)).join("")).toBe("ab \tcdef");
  expect(line?.range()).toEqual({ start: { line: 2, column: 2 }, end: { line: 5, column: 2 } });
  expect(line?.firstLine).toBe(2);
  expect(line?.rangeOf(4, 6)).toEqual({ start: { line: 4, column: 1 }, end: { line: 4, column: 3 } });
});

test("a line that begins with a continuation is placed where its words are", () => {
  const line = new LineReader("\n\\\n  ab\n").next();
  expect(line?.firstLine).toBe(2);
  expect(line?.range()).toEqual({ start: { line: 3, column: 2 }, end: { line: 3, column: 4 } });
});

describe("heredoc bodies", () => {
  test.each<[string, string, boolean, string | undefined]>([
    ["a\nb\nEOF\nc\n", "EOF", false, "a\nb\n"],
    ["EOF\n", "EOF", false, ""],
    ["EOF", "EOF", false, ""],
    ["a\r\nEOF\r\n", "EOF", false, "a\r\n"],
    ["\tEOF\nEOF\n", "EOF", false, "\tEOF\n"],
    ["\ta\n\t\tEOF\n", "EOF", true, "\ta\n"],
    [" EOF\n", "EOF", true, undefined],
    ["EOF \n", "EOF", false, undefined],
    ["# a\n\n\\\nEOF\n", "EOF", false, "# a\n\n\\\n"],
    ["", "EOF", false, undefined],
  ])("%j up to %s", (source, name, chomp, body) => {
    expect(new LineReader(source).heredocBody(name, chomp)).toBe(body);
  });
});

describe("limits", () => {
  test("a line", () => {
    expect(lines("x".repeat(MAX_LINE_BYTES - 1) + "\n")).toHaveLength(1);
    expect(() => lines("x".repeat(MAX_LINE_BYTES + 1))).toThrow(`dockerfile line greater than max allowed size of ${MAX_LINE_BYTES}`);
    expect(() => lines("ü".repeat(MAX_LINE_BYTES / 2 + 1))).toThrow(DockerfileError);
  });

  test("a heredoc", () => {
    const body = "x".repeat(999) + "\n";
    const reader = new LineReader(body.repeat(MAX_HEREDOC_BYTES / 1000 + 3));
    expect(() => reader.heredocBody("EOF", false)).toThrow(`heredoc EOF is larger than ${MAX_HEREDOC_BYTES} bytes`);
  });
});

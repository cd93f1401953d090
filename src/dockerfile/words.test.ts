import { describe, expect, test } from "vitest";

import { splitAtBlanks, splitQuoted, takeFlags, type Word } from "./words.ts";

function whole(text: string): Word {
  return { text, start: 10, end: 10 + text.length };
}

function texts(words: Word[]): string[] {
  return words.map(({ text }) => text);
}

describe("at blanks", () => {
  test.each([
    ["a", ["a"]],
    ["a b", ["a", "b"]],
    ["a \t\v\f b", ["a", "b"]],
    ["'a b'", ["'a", "b'"]],
    ["a\\ b", ["a\\", "b"]],
    ["a\u00a0b", ["a\u00a0b"]],
  ])("%j", (text, expected) => {
    expect(texts(splitAtBlanks(whole(text)))).toEqual(expected);
  });
});

describe("outside quotes", () => {
  test.each([
    ["", []],
    ["  ", []],
    ["a  b", ["a", "b"]],
    ["a='b c' d", ["a='b c'", "d"]],
    ['a="b c"d e', ['a="b c"d', "e"]],
    ["a=b\\ c d", ["a=b\\ c", "d"]],
    ['a="b\\" c" d', ['a="b\\" c"', "d"]],
    ["a='b\\' c", ["a='b\\'", "c"]],
    ['a="b\'c" d', ['a="b\'c"', "d"]],
    ["a='' b", ["a=''", "b"]],
    ["'' b", ["''", "b"]],
    ["a 'b c", ["a", "'b c"]],
    ["a\\", ["a"]],
    ["a \\", ["a"]],
    ['"a\\', ['"a']],
    ["a\\'b c", ["a\\'b", "c"]],
    ["ü=é ñ", ["ü=é", "ñ"]],
  ])("%j", (text, expected) => {
    expect(texts(splitQuoted(whole(text), "\\"))).toEqual(expected);
  });

  test("with the backtick", () => {
    expect(texts(splitQuoted(whole("a=c:\\ b=x` y"), "`"))).toEqual(["a=c:\\", "b=x` y"]);
  });
});

describe("flags", () => {
  test.each<[string, string[], string]>([
    ["a", [], "a"],
    ["--a b", ["--a"], "b"],
    ["--a=1 --b c --d", ["--a=1", "--b"], "c --d"],
    ["--a='x y' b", ["--a=x y"], "b"],
    ['--a="x y"z b', ["--a=x yz"], "b"],
    ["--a=x\\ y b", ["--a=x y"], "b"],
    ['--a="x\\"y" b', ['--a=x"y'], "b"],
    ["-- --a", [], "--a"],
    ["--a -- --b c", ["--a"], "--b c"],
    ["-a b", [], "-a b"],
    ["-", [], "-"],
    ["--a", ["--a"], ""],
    ["--a='x", ["--a=x"], ""],
    ["--a=x\\", ["--a=x"], ""],
    ["  --a   b  ", ["--a"], "b  "],
    ["", [], ""],
  ])("%j", (text, flags, rest) => {
    const taken = takeFlags(whole(text), "\\");
    expect(texts(taken.flags)).toEqual(flags);
    expect(taken.rest.text).toBe(rest);
  });
});

test("words say where they stand", () => {
  const text = "--a='b c'  d 'e f'";
  const { flags, rest } = takeFlags(whole(text), "\\");
  const words = [...flags, ...splitQuoted(rest, "\\")];
  expect(words.map(({ start, end }) => text.slice(start - 10, end - 10))).toEqual(["--a='b c'", "d", "'e f'"]);
});

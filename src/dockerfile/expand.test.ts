import { describe, expect, test } from "vitest";

import { expand, expandHeredoc, expandWord, expandWords } from "./expand.ts";

const VALUES: Record<string, string> = { a: "1", empty: "", path: "/usr/local/lib/x.tar.gz", ports: "80  443/tcp", star: "a*b", u: "ünï" };

function lookup(name: string): string | undefined {
  return Object.hasOwn(VALUES, name) ? VALUES[name] : undefined;
}

describe("words", () => {
  test.each([
    ["", ""],
    ["plain", "plain"],
    ["$a", "1"],
    ["x${a}y", "x1y"],
    ["$ab", ""],
    ["${nope}", ""],
    ["$", "$"],
    ["a$", "a$"],
    ["$.", "$."],
    ["\\$a", "$a"],
    ["'$a'", "$a"],
    ['"$a"', "1"],
    ["\"'$a'\"", "'1'"],
    ['"\\$a"', "$a"],
    ['"\\x"', "\\x"],
    ['"\\""', '"'],
    ["a\\ b", "a b"],
    ["'a\\'", "a\\"],
    ["end\\", "end"],
    ["a  b", "a  b"],
    ["${nope:-x}", "x"],
    ["${nope-x}", "x"],
    ["${empty:-x}", "x"],
    ["${empty-x}", ""],
    ["${a:-x}", "1"],
    ["${a:+x}", "x"],
    ["${empty:+x}", ""],
    ["${empty+x}", "x"],
    ["${nope+x}", ""],
    ["${a:?no}", "1"],
    ["${empty?no}", ""],
    ["${nope:-${a}}", "1"],
    ["${nope:-${nope2:-$a$a}}", "11"],
    ["${nope:-'a b'}", "a b"],
    ["${nope:-\\}}", "}"],
    ["${path#*/}", "usr/local/lib/x.tar.gz"],
    ["${path##*/}", "x.tar.gz"],
    ["${path%.*}", "/usr/local/lib/x.tar"],
    ["${path%%.*}", "/usr/local/lib/x"],
    ["${path#nope}", "/usr/local/lib/x.tar.gz"],
    ["${path%?z}", "/usr/local/lib/x.tar."],
    ["${path/l/L}", "/usr/Local/lib/x.tar.gz"],
    ["${path//l/L}", "/usr/LocaL/Lib/x.tar.gz"],
    ["${path/\\//-}", "-usr/local/lib/x.tar.gz"],
    ["${path//\\//-}", "-usr-local-lib-x.tar.gz"],
    ["${path/*l/}", "ib/x.tar.gz"],
    ["${star#a\\*}", "b"],
    ["${star%\\*b}", "a"],
    ["${u%?}", "ün"],
    ["${nope#x}", ""],
    ["${nope/x/y}", ""],
  ])("%j is %j", (word, text) => {
    expect(expandWord(word, lookup, "\\")).toBe(text);
  });

  test("with the backtick as escape character", () => {
    expect(expandWord("`$a c:\\x\\$a", lookup, "`")).toBe("$a c:\\x\\1");
  });
});

describe("what is wrong with a word", () => {
  test.each([
    ["${a", "failed to process \"${a\": syntax error: missing '}'"],
    ["${", "failed to process \"${\": syntax error: missing '}'"],
    ["${}", 'failed to process "${}": syntax error: bad substitution'],
    ["${a:-x", "failed to process \"${a:-x\": syntax error: missing '}'"],
    ["${a^}", 'failed to process "${a^}": unsupported modifier (^) in substitution'],
    ["${a:=x}", 'failed to process "${a:=x}": unsupported modifier (:=) in substitution'],
    ["${a/x}", "failed to process \"${a/x}\": syntax error: missing '/' in ${}"],
    ["${nope?}", 'failed to process "${nope?}": nope: is not allowed to be unset'],
    ["${empty:?}", 'failed to process "${empty:?}": empty: is not allowed to be empty'],
    ["${nope:?give one}", 'failed to process "${nope:?give one}": nope: give one'],
    ["${a#\\x}", "failed to process \"${a#\\\\x}\": invalid pattern (\\x) in substitution: invalid escape '\\x'"],
    ["'a", `failed to process "'a": unexpected end of statement while looking for matching single-quote`],
    ['"a', 'failed to process "\\"a": unexpected end of statement while looking for matching double-quote'],
  ])("%j", (word, message) => {
    expect(() => expandWord(word, lookup, "\\")).toThrow(message);
  });

  test("a bomb", () => {
    const big = "x".repeat(1000);
    expect(() => expandWord("${b//x/$b}", () => big, "\\")).not.toThrow();
    expect(() => expandWord("$b".repeat(2000), () => big, "\\")).toThrow("it becomes longer than");
    expect(() => expandWord("${b:-".repeat(1000), () => big, "\\")).toThrow("nested deeper");
    expect(() => expandWord("${b#*x*x*x*x*x*y}", () => big, "\\")).not.toThrow();
    expect(() => expandWord("${b//*x*x*x*x*x*y/z}", () => "x".repeat(100_000), "\\")).toThrow("too many steps");
    expect(() => expandWord("${b#?}".repeat(20), () => "x".repeat(100_000), "\\")).toThrow("too many steps");
  });
});

test("words of a word", () => {
  expect(expandWords("$ports 'a b' c\\ d \"\" x${nope:-1 2}", lookup, "\\")).toEqual(["80", "443/tcp", "a b", "c d", "x1", "2"]);
});

test("a heredoc keeps its quotes", () => {
  expect(expandHeredoc(`"$a" '$a' \\$a\n`, lookup, "\\")).toBe(`"1" '1' $a\n`);
});

test("names that were looked up", () => {
  const { found, missing } = expand("$a ${b:-$c} '$d' \\$e", lookup, "\\");
  expect([...found]).toEqual(["a"]);
  expect([...missing].toSorted()).toEqual(["b", "c"]);
});

import { expect, test } from "vitest";

import { encodeJson, parseJson } from "./json.ts";

test.each([
  ["", "unexpected EOF"],
  ['{"a":', "unexpected EOF"],
  ['{"a":1', "unexpected EOF"],
  ['"a', "unexpected EOF"],
  ["{bad", "invalid character 'b' looking for beginning of object key string"],
  ["{invalid json", "invalid character 'i' looking for beginning of object key string"],
  ['{"a":1,}', "invalid character '}' looking for beginning of object key string"],
  ["{'a':1}", String.raw`invalid character '\'' looking for beginning of object key string`],
  ["bad", "invalid character 'b' looking for beginning of value"],
  ["[1,]", "invalid character ']' looking for beginning of value"],
  ['{"a":é}', "invalid character 'Ã' looking for beginning of value"],
  ["\uFEFF{}", "invalid character 'ï' looking for beginning of value"],
  ['{"a" 1}', "invalid character '1' after object key"],
  ['{"a":1 "b":2}', `invalid character '"' after object key:value pair`],
  ['{"a":01}', "invalid character '1' after object key:value pair"],
  ["[1 2]", "invalid character '2' after array element"],
  ['{"a":"x\ny"}', String.raw`invalid character '\n' in string literal`],
  ['{"a":"\u0001"}', String.raw`invalid character '\x01' in string literal`],
  [String.raw`{"a":"\x"}`, "invalid character 'x' in string escape code"],
  [String.raw`{"a":"\u00g0"}`, String.raw`invalid character 'g' in \u hexadecimal character escape`],
  ["[-x]", "invalid character 'x' in numeric literal"],
  ["[1.x]", "invalid character 'x' after decimal point in numeric literal"],
  ["[1e]", "invalid character ']' in exponent of numeric literal"],
  ["[trux]", "invalid character 'x' in literal true (expecting 'e')"],
  ["[nul]", "invalid character ']' in literal null (expecting 'l')"],
])("%j is refused in the words of Go: %s", (text, words) => {
  expect(() => parseJson(text)).toThrow(`invalid JSON: ${words}`);
});

test.each(["{} trailing", "{}{}", "{},", "1 2"])("what follows the first value is refused: %j", (text) => {
  expect(() => parseJson(text)).toThrow(/^unexpected content after JSON$/);
});

test("a closing bracket too many is not noticed, as by Go's decoder", () => {
  expect(parseJson('{"a":1}}')).toEqual({ a: 1 });
});

test("deep nesting is refused before anything recurses into it", () => {
  const deep = "[".repeat(400_000) + "]".repeat(400_000);
  expect(() => parseJson(deep)).toThrow("invalid JSON: exceeded max depth");
  expect(parseJson(`${"[".repeat(500)}${"]".repeat(500)}`)).toBeInstanceOf(Array);
  // Brackets in strings are no nesting.
  expect(parseJson(JSON.stringify("[".repeat(1000)))).toBe("[".repeat(1000));
});

test("integers keep their digits both ways", () => {
  const text = '{"max":18446744073709551615,"min":-9223372036854775808,"small":42,"fraction":1.5}';
  expect(parseJson(text)).toEqual({ max: 18446744073709551615n, min: -9223372036854775808n, small: 42, fraction: 1.5 });
  expect(encodeJson(parseJson(text))).toBe(text);
});

test("__proto__ is a name like any other", () => {
  const parsed = parseJson('{"Labels":{"__proto__":{"a":"b"}}}');
  expect(JSON.stringify(parsed)).toBe('{"Labels":{"__proto__":{"a":"b"}}}');
  expect(Object.getPrototypeOf({})).not.toHaveProperty("a");
});

import { expect, test } from "vitest";

import { parseFilters, parseQuery, parseTime } from "./query.ts";

test.each([
  ["", false],
  ["a", false],
  ["a=", false],
  ["a=0", false],
  ["a=No", false],
  ["a=FALSE", false],
  ["a=none", false],
  ["a=1", true],
  ["a=yes", true],
  ["a=x", true],
])("the flag in %j is %s", (query, value) => {
  expect(parseQuery(query).flag("a")).toBe(value);
});

test("an absent flag may stand for true", () => {
  expect(parseQuery("").flag("stream", true)).toBe(true);
  expect(parseQuery("stream=0").flag("stream", true)).toBe(false);
});

test("integers are refused in words", () => {
  expect(parseQuery("t=-1").integer("t")).toBe(-1);
  expect(parseQuery("").integer("t")).toBeUndefined();
  expect(() => parseQuery("t=ten").integer("t")).toThrow('invalid value for t: "ten" is not an integer');
});

test("both JSON forms of filters", () => {
  expect(parseFilters('{"status":["exited","created"]}')).toEqual(new Map([["status", ["exited", "created"]]]));
  expect(parseFilters('{"status":{"exited":true,"created":true}}')).toEqual(new Map([["status", ["exited", "created"]]]));
  expect(parseFilters('{"__proto__":{"x":true}}')).toEqual(new Map([["__proto__", ["x"]]]));
  expect(parseFilters("")).toEqual(new Map());
});

test.each(["notjson", "[]", '"x"', '{"a":"b"}', '{"a":[1]}', '{"a":{"b":1}}', "{"])("%s is no filter", (text) => {
  expect(() => parseFilters(text)).toThrow(/^invalid filter$/);
});

const noon = BigInt(Date.UTC(2024, 0, 2, 12)) * 1_000_000n;

test.each([
  ["1136073600", 1136073600_000000000n],
  ["1136073600.000000001", 1136073600_000000001n],
  ["1136073600.5", 1136073600_500000000n],
  ["2024-01-02T12:00:00Z", noon],
  ["2024-01-02T14:00:00+02:00", noon],
  ["2024-01-02T12:00:00.000000007Z", noon + 7n],
  ["2024-01-02T12:00:00", noon],
  ["2024-01-02T12:00", noon],
  ["2024-01-02T12", noon],
  ["2024-01-02", noon - 12n * 3600n * 1_000_000_000n],
  ["90s", noon - 90_000_000_000n],
  ["1h30m", noon - 5400_000_000_000n],
  ["1.5s", noon - 1_500_000_000n],
])("the time %s", (text, ns) => {
  expect(parseTime(text, noon)).toBe(ns);
});

test.each(["yesterday", "2024-13-01", "1h30", "", "12:00"])("%j is no time", (text) => {
  expect(parseTime(text, noon)).toBeUndefined();
});

import { expect, test } from "vitest";

import { readFlag, readVolumeFilter } from "./volume-filters.ts";
import type { VolumeRecord } from "./volume-records.ts";

const volume = (name: string, labels: VolumeRecord["labels"] = null): VolumeRecord => ({
  name,
  driver: "local",
  created: "2026-01-02T03:04:05Z",
  labels,
  options: null,
  isAnonymous: false,
});
const VOLUMES = [volume("alpha", { tier: "web", x: "" }), volume("beta", { tier: "db=1" }), volume("gamma")];

test.each<[filters: Record<string, string[]>, names: string[]]>([
  [{}, ["alpha", "beta", "gamma"]],
  [{ name: ["a$"] }, ["alpha", "beta", "gamma"]],
  [{ name: ["^al", "amm"] }, ["alpha", "gamma"]],
  // No regular expression: a part of the name.
  [{ name: ["("] }, []],
  [{ driver: ["other", "local"] }, ["alpha", "beta", "gamma"]],
  [{ driver: ["other"] }, []],
  [{ label: ["tier"] }, ["alpha", "beta"]],
  [{ label: ["tier=db=1"] }, ["beta"]],
  [{ label: ["x="] }, ["alpha"]],
  [{ label: ["tier", "x"] }, ["alpha"]],
  [{ dangling: ["true"] }, ["beta", "gamma"]],
  [{ dangling: ["F"] }, ["alpha"]],
  [{ dangling: [] }, ["alpha", "beta", "gamma"]],
])("%j", (filters, names) => {
  const passes = readVolumeFilter(new Map(Object.entries(filters)), (name) => name === "alpha");
  expect(VOLUMES.filter(passes).map(({ name }) => name)).toEqual(names);
});

test("what is no filter is refused", () => {
  const read = (filters: Record<string, string[]>): unknown => readVolumeFilter(new Map(Object.entries(filters)), () => false);
  expect(() => read({ nosuch: ["1"] })).toThrow("invalid filter 'nosuch'");
  expect(() => read({ dangling: ["1", "perhaps"] })).toThrow("invalid filter 'dangling=[1 perhaps]'");
  expect(readFlag(new Map(), "all")).toBeUndefined();
});

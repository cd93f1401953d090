import { expect, test } from "vitest";

import { type CacheRecord, chooseVictims, type PruneRule } from "./choose.ts";
import { parseCacheFilters } from "./filters.ts";
import { DEFAULT_POLICY, rulesOf } from "./policy.ts";

const HOUR_MS = 3_600_000;
const NOW_MS = 1_000 * 24 * HOUR_MS;
const MB = 1024 * 1024;

function record(id: string, hoursUnused: number, more: Partial<CacheRecord> = {}): CacheRecord {
  const usedNs = BigInt(NOW_MS - hoursUnused * HOUR_MS) * 1_000_000n;
  const flags = { isInUse: false, isNeeded: false, isShared: false };
  return {
    id,
    parents: [],
    type: "regular",
    description: "",
    sizeBytes: MB,
    createdNs: usedNs,
    lastUsedNs: usedNs,
    usageCount: 1,
    ...flags,
    ...more,
  };
}

const ALL: PruneRule = { matches: () => true, keepForMs: 0, reservedBytes: 0, maxUsedBytes: 0, minFreeBytes: 0 };

function victims(records: CacheRecord[], rule: Partial<PruneRule> = {}, freeBytes = 1e12): string[] {
  return chooseVictims(records, { ...ALL, ...rule }, { nowNs: BigInt(NOW_MS) * 1_000_000n, freeBytes });
}

test("what was made from others goes before them; what is needed or in use keeps all below it", () => {
  const chain = [record("a", 9), record("b", 8, { parents: ["a"] }), record("c", 7, { parents: ["b"] })];
  expect(victims(chain)).toEqual(["c", "b", "a"]);
  expect(victims([...chain, record("d", 1, { parents: ["b"], isInUse: true })])).toEqual(["c"]);
  expect(victims([...chain, record("d", 1, { parents: ["a"], isNeeded: true })])).toEqual(["c", "b"]);
  expect(victims([...chain, record("d", 1, { parents: ["c"] })], { matches: ({ id }) => id !== "d" })).toEqual([]);
});

test("limits end the removal; long unused and little used go first", () => {
  const records = [record("old", 9, { usageCount: 9 }), record("seldom", 8, { usageCount: 1 }), record("new", 1, { usageCount: 5 })];
  expect(victims(records, { maxUsedBytes: 3 * MB })).toEqual([]);
  expect(victims(records, { maxUsedBytes: 2 * MB })).toEqual(["seldom"]);
  expect(victims(records, { maxUsedBytes: MB })).toEqual(["seldom", "old"]);
  expect(victims(records, { reservedBytes: 2 * MB })).toEqual(["seldom"]);
  expect(victims(records, { minFreeBytes: 2 * MB }, MB)).toEqual(["seldom"]);
  expect(victims(records, { minFreeBytes: 2 * MB, reservedBytes: 3 * MB }, 0)).toEqual([]);
  expect(victims(records, { minFreeBytes: 2 * MB, maxUsedBytes: 9 * MB }, 3 * MB)).toEqual([]);
  expect(victims([...records, record("shared", 99, { isShared: true, sizeBytes: 99 * MB })], { maxUsedBytes: 3 * MB })).toEqual([]);
});

test("the usual rules: what is easily had again, what is old, and what is too much", () => {
  const [easy, old, any] = rulesOf({ ...DEFAULT_POLICY, maxUsedBytes: 600 * MB }, 0);
  const mount = (hours: number): CacheRecord => record(`mount${hours}`, hours, { type: "exec.cachemount", sizeBytes: 300 * MB });
  expect(victims([mount(50), mount(47), record("step", 999)], easy)).toEqual(["mount50"]);
  expect(victims([mount(50), record("step", 999, { sizeBytes: 100 * MB })], easy)).toEqual([]);
  const steps = [record("s1", 61 * 24, { sizeBytes: 500 * MB }), record("s2", 59 * 24, { sizeBytes: 500 * MB })];
  expect(victims(steps, old)).toEqual(["s1"]);
  expect(victims([...steps, record("s3", 1, { sizeBytes: 500 * MB })], any)).toEqual(["s1", "s2"]);
  const [, , byDisk] = rulesOf(DEFAULT_POLICY, 1000);
  expect(byDisk).toMatchObject({ reservedBytes: 100, maxUsedBytes: 800, minFreeBytes: 200 });
});

test("filters", () => {
  const matching = (filters: Record<string, string[]>): string[] => {
    const records = [
      record("sha256:aa11", 1, { parents: ["sha256:bb22"], description: "RUN make" }),
      record("cc33", 100, { type: "exec.cachemount", isInUse: true }),
      record("dd44", 1, { isShared: true }),
    ];
    const { matches } = parseCacheFilters(new Map(Object.entries(filters)), NOW_MS);
    return records.filter(matches).map(({ id }) => id);
  };
  expect(matching({})).toHaveLength(3);
  expect(matching({ id: ["aa"] })).toEqual(["sha256:aa11"]);
  expect(matching({ parent: ["bb22"] })).toEqual(["sha256:aa11"]);
  expect(matching({ type: ["exec.cachemount"] })).toEqual(["cc33"]);
  expect(matching({ description: ["RUN make"] })).toEqual(["sha256:aa11"]);
  expect(matching({ inuse: [] })).toEqual(["cc33"]);
  expect(matching({ shared: ["true"] })).toEqual(["dd44"]);
  expect(matching({ private: [], inuse: ["false"] })).toEqual(["sha256:aa11"]);
  const age = (name: string, value: string): number => parseCacheFilters(new Map([[name, [value]]]), NOW_MS).keepForMs / HOUR_MS;
  expect([age("until", "48h"), age("unused-for", "90m"), age("until", String(NOW_MS / 1000 - 7200))]).toEqual([48, 1.5, 2]);
  expect(age("until", new Date(NOW_MS - 3 * HOUR_MS).toISOString())).toBe(3);
  expect(() => age("until", "soon")).toThrow('"until" filter expects a duration (e.g., \'24h\') or a timestamp: "soon" is neither');
  expect(() => matching({ id: ["a", "b"] })).toThrow("filters expect only one value");
});

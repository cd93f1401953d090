/**
 * What may go of the build cache, and in which order: pure. Records are those of BuildKit's `du`; a step goes only when all that were made
 * from it are gone or go with it.
 */
export interface CacheRecord {
  /** An image's id for a step; else the name of a file or folder. */
  id: string;
  parents: string[];
  type: CacheType;
  description: string;
  isInUse: boolean;
  /** An image or a container needs it: it is no mere cache, and never goes from here. */
  isNeeded: boolean;
  /** Takes no room of its own, as such an image has its layer. */
  isShared: boolean;
  sizeBytes: number;
  createdNs: bigint;
  lastUsedNs: bigint;
  usageCount: number;
}

export type CacheType = "regular" | "exec.cachemount" | "source.local";

/** One rule by which records go (BuildKit's PruneInfo). 0: no such limit. */
export interface PruneRule {
  matches: (record: CacheRecord) => boolean;
  /** What was used within this time stays. */
  keepForMs: number;
  /** Never goes below it. */
  reservedBytes: number;
  maxUsedBytes: number;
  /** Of the disk. */
  minFreeBytes: number;
}

/** Ids of those that go by a rule, in the order in which they go. `freeBytes`: of the disk, now. */
export function chooseVictims(
  records: readonly CacheRecord[],
  rule: PruneRule,
  { nowNs, freeBytes }: { nowNs: bigint; freeBytes: number },
): string[] {
  let used = records.reduce((sum, { isShared, sizeBytes }) => sum + (isShared ? 0 : sizeBytes), 0);
  const keepBytes = bytesToKeep(used, rule, freeBytes);
  const victims: string[] = [];
  const children = new Map<string, number>();
  for (const { parents } of records) for (const parent of parents) children.set(parent, (children.get(parent) ?? 0) + 1);
  const mayGo = (record: CacheRecord): boolean =>
    !record.isInUse &&
    !record.isNeeded &&
    (children.get(record.id) ?? 0) === 0 &&
    (rule.keepForMs === 0 || record.lastUsedNs <= nowNs - BigInt(Math.round(rule.keepForMs * 1e6))) &&
    rule.matches(record);
  const byId = new Map(records.map((record) => [record.id, record]));
  const rank = ranks(records);
  const ready = records.filter(mayGo);
  while (ready.length > 0 && (keepBytes === undefined || used > keepBytes)) {
    const next = ready.reduce((best, one) => ((rank.get(one.id) ?? 0) < (rank.get(best.id) ?? 0) ? one : best));
    ready.splice(ready.indexOf(next), 1);
    victims.push(next.id);
    if (!next.isShared) used -= next.sizeBytes;
    for (const id of next.parents) {
      children.set(id, (children.get(id) ?? 1) - 1);
      const parent = byId.get(id);
      if (parent !== undefined && mayGo(parent)) ready.push(parent);
    }
  }
  return victims;
}

/** Undefined: a rule without limits, by which all goes that matches. */
function bytesToKeep(used: number, { reservedBytes, maxUsedBytes, minFreeBytes }: PruneRule, freeBytes: number): number | undefined {
  if (reservedBytes === 0 && maxUsedBytes === 0 && minFreeBytes === 0) return undefined;
  const missing = minFreeBytes - freeBytes;
  const limit = maxUsedBytes === 0 ? Number.POSITIVE_INFINITY : maxUsedBytes;
  const kept = missing > 0 ? Math.min(limit, used - missing) : maxUsedBytes;
  return Math.max(kept, reservedBytes);
}

/** Long unused and little used first: the sum of both ranks, each from 0 to 1 (BuildKit's order). */
function ranks(records: readonly CacheRecord[]): Map<string, number> {
  const rank = new Map<string, number>();
  const add = (values: readonly (bigint | number)[]): void => {
    const distinct = [...new Set(values)].toSorted((a, b) => (a < b ? -1 : 1));
    const place = new Map(distinct.map((value, index) => [value, distinct.length > 1 ? index / (distinct.length - 1) : 0]));
    for (const [index, { id }] of records.entries()) rank.set(id, (rank.get(id) ?? 0) + (place.get(values[index] ?? 0) ?? 0));
  };
  add(records.map(({ lastUsedNs }) => lastUsedNs));
  add(records.map(({ usageCount }) => usageCount));
  return rank;
}

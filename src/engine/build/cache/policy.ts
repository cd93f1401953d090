import type { PruneRule } from "./choose.ts";

/** What the collector keeps to: daemon.json's `builder.gc`. Limits of 0 are found from the size of the disk. */
export interface CachePolicy {
  isEnabled: boolean;
  reservedBytes: number;
  maxUsedBytes: number;
  minFreeBytes: number;
  /** Rules of the user's, in place of the usual ones; their filters are read already. */
  rules: PruneRule[] | undefined;
}

export const DEFAULT_POLICY: CachePolicy = { isEnabled: true, reservedBytes: 0, maxUsedBytes: 0, minFreeBytes: 0, rules: undefined };

const HOUR_MS = 3_600_000;
const EASY_BYTES = 512 * 1024 * 1024;
const EASY_KEPT_MS = 48 * HOUR_MS;
const KEPT_MS = 60 * 24 * HOUR_MS;

/**
 * The rules in force (BuildKit's, moby 28 builder-next/worker/gc.go): what is easily had again goes when it takes more than 512 MB and was
 * not used for two days; then what was not used for 60 days, and then anything, until the cache is within its limits: by default
 * it may have a tenth of the disk in any case, four fifths at most, and leaves a fifth free.
 */
export function rulesOf(policy: CachePolicy, diskBytes: number): PruneRule[] {
  if (policy.rules !== undefined) return policy.rules;
  const { reservedBytes, maxUsedBytes, minFreeBytes } = policy;
  const isGiven = reservedBytes + maxUsedBytes + minFreeBytes > 0;
  const limits = isGiven
    ? { reservedBytes, maxUsedBytes, minFreeBytes }
    : { reservedBytes: diskBytes * 0.1, maxUsedBytes: diskBytes * 0.8, minFreeBytes: diskBytes * 0.2 };
  const any = (): boolean => true;
  return [
    { matches: ({ type }) => type !== "regular", keepForMs: EASY_KEPT_MS, reservedBytes: 0, maxUsedBytes: EASY_BYTES, minFreeBytes: 0 },
    { matches: any, keepForMs: KEPT_MS, ...limits },
    { matches: any, keepForMs: 0, ...limits },
  ];
}

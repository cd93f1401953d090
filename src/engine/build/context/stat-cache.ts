import type { BigIntStats } from "node:fs";

/**
 * Sums of files by what the kernel says of them: inode, size, time of change of content and of anything. The last one moves with every
 * write, also one that puts the old time back, so a file that is said to be the same is the same.
 */
export interface StatCache {
  get(path: string, stats: BigIntStats): string | undefined;
  set(path: string, stats: BigIntStats, sum: string): void;
}

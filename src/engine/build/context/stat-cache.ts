import { existsSync, readFileSync, renameSync, utimesSync, writeFileSync, type BigIntStats } from "node:fs";

/**
 * Sums of files by what the kernel says of them: inode, size, and the times of the last change of content and of anything. The last one moves
 * with every write, also one that puts the old time back, so a file that looks the same is the same. Kept as JSON between builds.
 */
export interface StatCache {
  get(path: string, stats: BigIntStats): string | undefined;
  set(path: string, stats: BigIntStats, sum: string): void;
  save(): void;
}

/** A change within the resolution of the file system's clock cannot be told: what is as young as this is not remembered. */
const YOUNG_NS = 50_000_000n;
const MAX_ENTRIES = 500_000;

export function openStatCache(file: string): StatCache {
  const known = read(file);
  const next = new Map<string, [facts: string, sum: string]>();
  let hasChanged = false;
  return {
    get(path, stats) {
      const entry = known.get(path);
      if (entry?.[0] !== factsOf(stats)) return undefined;
      next.set(path, entry);
      return entry[1];
    },
    set(path, stats, sum) {
      if (BigInt(Date.now()) * 1_000_000n - stats.ctimeNs < YOUNG_NS || next.size >= MAX_ENTRIES) return;
      next.set(path, [factsOf(stats), sum]);
      hasChanged = true;
    },
    save() {
      // When it was used last.
      if (!hasChanged) return touch(file);
      // What this build did not look at stays known: another may.
      for (const [path, entry] of known) if (!next.has(path) && next.size < MAX_ENTRIES) next.set(path, entry);
      writeFileSync(`${file}.new`, JSON.stringify([...next]), { mode: 0o600 });
      renameSync(`${file}.new`, file);
    },
  };
}

function touch(file: string): void {
  const now = new Date();
  if (existsSync(file)) utimesSync(file, now, now);
}

function factsOf({ ino, size, mtimeNs, ctimeNs, mode, dev }: BigIntStats): string {
  return `${dev}:${ino}:${size}:${mtimeNs}:${ctimeNs}:${mode}`;
}

function read(file: string): Map<string, [string, string]> {
  try {
    // Written by `save`; anything else is as good as nothing.
    return new Map(JSON.parse(readFileSync(file, "utf8")) as [string, [string, string]][]);
  } catch {
    return new Map();
  }
}

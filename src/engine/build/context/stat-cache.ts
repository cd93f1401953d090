import { existsSync, readFileSync, renameSync, utimesSync, writeFileSync } from "node:fs";

import type { FileStatus } from "../../../kernel/file-status.ts";

/**
 * Sums of files by what the kernel says of them: inode, size, and the times of the last change of content and of anything. The last one moves
 * with every write, also one that puts the old time back, so a file that looks the same is the same. Kept as JSON between builds.
 */
export interface StatCache {
  get(path: string, status: FileStatus): string | undefined;
  set(path: string, status: FileStatus, sum: string): void;
  save(): void;
}

/** A change within the resolution of the file system's clock cannot be told: what is as young as this is not remembered. */
const YOUNG_MS = 50;
const MAX_ENTRIES = 500_000;

export function openStatCache(file: string): StatCache {
  const known = read(file);
  const next = new Map<string, [facts: string, sum: string]>();
  let hasChanged = false;
  return {
    get(path, status) {
      const entry = known.get(path);
      if (entry?.[0] !== factsOf(status)) return undefined;
      next.set(path, entry);
      return entry[1];
    },
    set(path, status, sum) {
      if (Date.now() - (status.changed.seconds * 1000 + status.changed.nanoseconds / 1e6) < YOUNG_MS || next.size >= MAX_ENTRIES) return;
      next.set(path, [factsOf(status), sum]);
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

function factsOf({ identity, sizeBytes, modified, changed, mode }: FileStatus): string {
  return `${identity()}:${sizeBytes}:${timeText(modified)}:${timeText(changed)}:${mode}`;
}

function timeText({ seconds, nanoseconds }: FileStatus["modified"]): string {
  return `${seconds}.${nanoseconds}`;
}

function read(file: string): Map<string, [string, string]> {
  try {
    // Written by `save`; anything else is as good as nothing.
    return new Map(JSON.parse(readFileSync(file, "utf8")) as [string, [string, string]][]);
  } catch {
    return new Map();
  }
}

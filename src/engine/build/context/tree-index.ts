import { readFileSync, statSync } from "node:fs";

import type { Segment, TreeNode } from "./tree.ts";

/** The index of an archive: what is in it, where its files lie, and their sums. Kept as JSON beside the archive. */
export interface IndexEntry {
  path: string;
  type: TreeNode["type"] | "hardlink";
  mode: number;
  user: number;
  group: number;
  seconds: number;
  nanoseconds: number;
  sizeBytes: number;
  /** A symlink's target, or the clean path that a hard link names. */
  link?: string;
  major?: number;
  minor?: number;
  /** Name and value in base64. */
  attributes?: [string, string][];
  sum: string;
  segments?: Segment[];
}

/** Indexes that a child remembers between jobs: the steps of a build ask for the same one. */
const MAX_REMEMBERED = 4;
const remembered = new Map<string, { mtimeMs: number; entries: IndexEntry[] }>();

export function readIndex(path: string): IndexEntry[] {
  const { mtimeMs } = statSync(path);
  const known = remembered.get(path);
  if (known?.mtimeMs === mtimeMs) return known.entries;
  // Written by index-archive.ts of the same build.
  const entries = JSON.parse(readFileSync(path, "utf8")) as IndexEntry[];
  remember(path, mtimeMs, entries);
  return entries;
}

export function remember(path: string, mtimeMs: number, entries: IndexEntry[]): void {
  remembered.delete(path);
  remembered.set(path, { mtimeMs, entries });
  for (const oldest of remembered.keys()) {
    if (remembered.size <= MAX_REMEMBERED) break;
    remembered.delete(oldest);
  }
}

import { readSync, type BigIntStats } from "node:fs";

import * as at from "../../kernel/openat.ts";
import { differs } from "./lower-folders.ts";
import { namesIn, openFileAt, openFolderAt, statusAt } from "./walk.ts";

/** A name that a tree has otherwise than another, or no more; a binary string, without a slash in front. */
export interface TreeChange {
  path: string;
  isDeleted: boolean;
}

/**
 * What is different in a tree, by the rules of moby's ChangesDirs: mode, owner, device, capability; of what is no folder size and time, too.
 * A folder with a change in it is one. The same inode that nobody touched is the same file; what only looks the same is read. Yields
 * undefined where nothing was found for a while.
 */
export function* changesBetween(before: number, now: number, prefix = ""): Generator<TreeChange | undefined, boolean> {
  let hasChanges = false;
  const names = new Set(namesIn(now));
  for (const leaf of namesIn(before)) {
    if (names.has(leaf)) continue;
    hasChanges = true;
    yield { path: `${prefix}${leaf}`, isDeleted: true };
  }
  for (const leaf of names) {
    yield undefined;
    const status = statusAt(now, leaf);
    if (status === undefined || status.isSocket()) continue;
    const path = `${prefix}${leaf}`;
    const old = statusAt(before, leaf);
    let isChanged = old === undefined || (yield* isOther(before, now, leaf, old, status));
    if (status.isDirectory()) {
      const folder = openFolderAt(now, leaf);
      const oldFolder = old?.isDirectory() === true ? openFolderAt(before, leaf) : undefined;
      try {
        if (folder !== undefined) isChanged = (yield* changesIn(oldFolder, folder, `${path}/`)) || isChanged;
      } finally {
        for (const fd of [folder, oldFolder]) if (fd !== undefined) at.close(fd);
      }
    }
    if (!isChanged) continue;
    hasChanges = true;
    yield { path, isDeleted: false };
  }
  return hasChanges;
}

function* changesIn(before: number | undefined, now: number, prefix: string): Generator<TreeChange | undefined, boolean> {
  if (before !== undefined) return yield* changesBetween(before, now, prefix);
  for (const leaf of namesIn(now)) {
    const status = statusAt(now, leaf);
    if (status === undefined || status.isSocket()) continue;
    yield { path: `${prefix}${leaf}`, isDeleted: false };
    const folder = status.isDirectory() ? openFolderAt(now, leaf) : undefined;
    if (folder === undefined) continue;
    try {
      yield* changesIn(undefined, folder, `${prefix}${leaf}/`);
    } finally {
      at.close(folder);
    }
  }
  return true;
}

function* isOther(before: number, now: number, leaf: string, old: BigIntStats, status: BigIntStats): Generator<undefined, boolean> {
  if (old.ino === status.ino && old.ctimeNs === status.ctimeNs && !status.isDirectory()) return false;
  if (differs(now, [before], leaf, status, old)) return true;
  return status.isFile() && (yield* hasOtherContent(before, now, leaf));
}

const PIECE_BYTES = 256 * 1024;

function* hasOtherContent(before: number, now: number, leaf: string): Generator<undefined, boolean> {
  const [old, own] = [openFileAt(before, leaf), openFileAt(now, leaf)];
  try {
    if (old === undefined || own === undefined) return true;
    const [a, b] = [Buffer.allocUnsafe(PIECE_BYTES), Buffer.allocUnsafe(PIECE_BYTES)];
    for (;;) {
      const [oldBytes, ownBytes] = [readSync(old, a), readSync(own, b)];
      if (oldBytes !== ownBytes || !a.subarray(0, oldBytes).equals(b.subarray(0, ownBytes))) return true;
      if (oldBytes === 0) return false;
      yield undefined;
    }
  } finally {
    for (const fd of [old, own]) if (fd !== undefined) at.close(fd);
  }
}

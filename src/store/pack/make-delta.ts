import { fstatSync, mkdirSync, rmdirSync, type BigIntStats } from "node:fs";
import { setImmediate as nextTurn } from "node:timers/promises";

import * as at from "../../kernel/openat.ts";
import { finishFolder } from "./copy-tree.ts";
import { differs, foldersBelow, namesBelow, statusBelow } from "./lower-folders.ts";
import { namesIn, openFolderAt, openRoot, pathOf, statusAt } from "./walk.ts";

/**
 * What a tree has that the folders below it have not, as a folder in overlayfs's format, in a child: files are hard links to the tree's, what
 * is missing is a whiteout. So that it is always the same, a whiteout is of 1970.
 */
export interface DeltaRequest {
  tree: string;
  /** Uppermost first, in overlayfs's format. */
  lower: string[];
  /** Is made. */
  delta: string;
}

const TURN_MS = 10;

export async function makeDelta({ tree, lower, delta }: DeltaRequest, signal: AbortSignal): Promise<void> {
  process.umask(0);
  mkdirSync(delta, { mode: 0o700 });
  const fds = [tree, delta, ...lower].map(openRoot);
  let turnBegan = performance.now();
  try {
    const [own = -1, target = -1, ...below] = fds;
    for (const _step of compareFolder(own, below, target)) {
      if (performance.now() - turnBegan < TURN_MS) continue;
      await nextTurn();
      signal.throwIfAborted();
      turnBegan = performance.now();
    }
    finishFolder(own, target, fstatSync(own, { bigint: true }), "/");
  } finally {
    for (const fd of fds) at.close(fd);
  }
}

/** Yields between any two files; answers whether anything is in the delta. */
function* compareFolder(own: number, lower: number[], delta: number): Generator<void, boolean> {
  const names = namesIn(own);
  let isFilled = false;
  for (const leaf of names) {
    yield;
    const status = statusAt(own, leaf);
    if (status === undefined) continue;
    const before = statusBelow(lower, leaf);
    if (status.isDirectory()) {
      if (yield* compareDirectory(own, lower, delta, leaf, status, before)) isFilled = true;
    } else if (before === undefined || differs(own, lower, leaf, status, before)) {
      at.linkAt(own, leaf, delta, leaf);
      isFilled = true;
    }
  }
  const there = new Set(names);
  for (const leaf of namesBelow(lower)) {
    if (there.has(leaf)) continue;
    at.makeNodeAt(delta, leaf, at.S_IFCHR, { major: 0, minor: 0 });
    at.setTimesAt(delta, leaf, { seconds: 0, nanoseconds: 0 });
    isFilled = true;
  }
  return isFilled;
}

function* compareDirectory(
  own: number,
  lower: number[],
  delta: number,
  leaf: string,
  status: BigIntStats,
  before: BigIntStats | undefined,
): Generator<void, boolean> {
  const folder = openFolderAt(own, leaf);
  if (folder === undefined) return false;
  const below = foldersBelow(lower, leaf);
  at.makeDirectoryAt(delta, leaf, 0o700);
  const target = at.openAt(delta, leaf, at.O_RDONLY | at.O_DIRECTORY | at.O_NOFOLLOW);
  try {
    const isFilled = yield* compareFolder(folder, below, target);
    if (isFilled || before === undefined || differs(own, lower, leaf, status, before)) {
      finishFolder(folder, target, fstatSync(folder, { bigint: true }), leaf);
      return true;
    }
    rmdirSync(pathOf(`/proc/self/fd/${delta}/${leaf}`));
    return false;
  } finally {
    for (const fd of [folder, target, ...below]) at.close(fd);
  }
}

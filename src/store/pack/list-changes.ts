import { closeSync, openSync, writeSync } from "node:fs";
import { setImmediate as nextTurn } from "node:timers/promises";

import * as at from "../../kernel/openat.ts";
import type { LayerChange } from "../layers.ts";
import { differs, foldersBelow, isOpaque, namesBelow, statusBelow } from "./lower-folders.ts";
import { isWhiteout, namesIn, openFolderAt, openRoot, statusAt } from "./walk.ts";

/**
 * What an overlay's upper folder changes of the layers below, in a child. A folder counts as modified also when something in it has changed.
 * Only what the upper folder holds is looked at; the list goes to a file, a line of JSON a change.
 */
export interface ChangesRequest {
  upper: string;
  /** Uppermost first. */
  below: string[];
  target: string;
}

const TURN_MS = 10;

export async function listChanges({ upper, below, target }: ChangesRequest, signal: AbortSignal): Promise<void> {
  const output = openSync(target, "wx", 0o600);
  const fds = [upper, ...below].map(openRoot);
  let turnBegan = performance.now();
  try {
    const [own = -1, ...lower] = fds;
    for (const change of changesIn(own, lower, "/")) {
      writeSync(output, `${JSON.stringify({ ...change, path: Buffer.from(change.path, "latin1").toString() })}\n`);
      if (performance.now() - turnBegan < TURN_MS) continue;
      await nextTurn();
      signal.throwIfAborted();
      turnBegan = performance.now();
    }
  } finally {
    for (const fd of fds) at.close(fd);
    closeSync(output);
  }
}

/** `lower`: the folders below that show through this one, uppermost first. */
function* changesIn(own: number, lower: number[], prefix: string): Generator<LayerChange> {
  for (const leaf of allNames(own, lower)) {
    const path = `${prefix}${leaf}`;
    const status = statusAt(own, leaf);
    const before = statusBelow(lower, leaf);
    if (status === undefined || isWhiteout(status)) {
      if (before !== undefined) yield { path, kind: "deleted" };
      continue;
    }
    const isModified = before !== undefined && differs(own, lower, leaf, status, before);
    if (before === undefined) yield { path, kind: "added" };
    else if (isModified) yield { path, kind: "modified" };
    if (status.isDirectory()) yield* changesInFolder(own, lower, leaf, path, before !== undefined && !isModified);
  }
}

/** Those of an upper folder; of an opaque one also the hidden ones below it. */
function allNames(own: number, lower: number[]): string[] {
  const names = namesIn(own);
  if (!isOpaque(own)) return names;
  return [...new Set([...names, ...namesBelow(lower)])].sort();
}

function* changesInFolder(own: number, lower: number[], leaf: string, path: string, onlyIfFilled: boolean): Generator<LayerChange> {
  const folder = openFolderAt(own, leaf);
  if (folder === undefined) return;
  const below = foldersBelow(lower, leaf);
  try {
    let isTold = !onlyIfFilled;
    for (const change of changesIn(folder, below, `${path}/`)) {
      if (!isTold) yield { path, kind: "modified" };
      isTold = true;
      yield change;
    }
  } finally {
    for (const fd of [folder, ...below]) at.close(fd);
  }
}

import { closeSync, openSync, writeSync, type BigIntStats } from "node:fs";
import { setImmediate as nextTurn } from "node:timers/promises";

import { attributesOf } from "../../kernel/file-attributes.ts";
import * as at from "../../kernel/openat.ts";
import type { LayerChange } from "../layers.ts";
import { OPAQUE_ATTRIBUTE } from "../unpack/overlay-marks.ts";
import { CAPABILITY, isWhiteout, namesIn, openFolderAt, openRoot, statusAt } from "./walk.ts";

/**
 * What an overlay's upper folder changes of the layers below, in a child, by the rules of moby's pkg/archive: a file counts as modified by
 * its mode, owner, device, capability, size and time, a folder not by the latter two, but when something in it has changed. Only what the
 * upper folder holds is looked at; the list goes to a file, a line of JSON a change.
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
  return [...new Set([...names, ...lower.flatMap(namesIn)])].sort();
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

function statusBelow(lower: number[], leaf: string): BigIntStats | undefined {
  for (const folder of lower) {
    const status = statusAt(folder, leaf);
    if (status !== undefined) return isWhiteout(status) ? undefined : status;
  }
  return undefined;
}

/** The folders of that name which merge into one. */
function foldersBelow(lower: number[], leaf: string): number[] {
  const folders: number[] = [];
  for (const folder of lower) {
    if (statusAt(folder, leaf) === undefined) continue;
    const fd = openFolderAt(folder, leaf);
    if (fd === undefined) break;
    folders.push(fd);
    if (isOpaque(fd)) break;
  }
  return folders;
}

function isOpaque(folder: number): boolean {
  return attributesOf(`/proc/self/fd/${folder}/.`).has(OPAQUE_ATTRIBUTE);
}

function differs(own: number, lower: number[], leaf: string, status: BigIntStats, before: BigIntStats): boolean {
  if (status.mode !== before.mode || status.uid !== before.uid || status.gid !== before.gid || status.rdev !== before.rdev) return true;
  if (!status.isDirectory() && (status.size !== before.size || !isSameTime(status.mtimeNs, before.mtimeNs))) return true;
  const holder = lower.find((folder) => statusAt(folder, leaf) !== undefined);
  return holder !== undefined && capabilityOf(own, leaf) !== capabilityOf(holder, leaf);
}

function capabilityOf(folder: number, leaf: string): string | undefined {
  return attributesOf(`/proc/self/fd/${folder}/${leaf}`).get(CAPABILITY)?.toString("hex");
}

/** One that came out of a tar has lost what is finer than a second. */
function isSameTime(a: bigint, b: bigint): boolean {
  const [one, other] = [at.timeOf(a), at.timeOf(b)];
  if (one.seconds !== other.seconds) return false;
  return one.nanoseconds === other.nanoseconds || one.nanoseconds === 0 || other.nanoseconds === 0;
}

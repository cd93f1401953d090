import { fstatSync, readlinkSync, rmSync, type BigIntStats } from "node:fs";
import { setImmediate as nextTurn } from "node:timers/promises";

import { copyBytes, copySparse } from "../../kernel/copy-file.ts";
import { attributeOfOpen, attributesOfOpen, setAttribute } from "../../kernel/file-attributes.ts";
import * as at from "../../kernel/openat.ts";
import { OPAQUE_ATTRIBUTE } from "../unpack/overlay-marks.ts";
import { isOpaque } from "./lower-folders.ts";
import { CAPABILITY, isWhiteout, namesIn, openFileAt, openFolderAt, openRoot, pathOf, statusAt } from "./walk.ts";

/**
 * Copies a tree into an empty folder, in a child: what a layer's tar would hold of it, and the marks of overlayfs. `share`: files are hard
 * links, which is quicker, where nobody will write to them in place.
 */
export interface CopyRequest {
  from: string;
  to: string;
  share?: boolean;
  /** Every extended attribute goes along, but overlayfs's own: the copy is a tree, no layer. */
  all?: boolean;
  /** What is there stays, and what is copied, a layer, changes it as its tar would. */
  onto?: boolean;
}

const TURN_MS = 10;

export async function copyTree({ from, to, share = false, all = false, onto = false }: CopyRequest, signal: AbortSignal): Promise<void> {
  process.umask(0);
  const source = openRoot(from);
  const target = openRoot(to);
  const copying: Copying = { root: target, links: new Map(), share, all, onto };
  let turnBegan = performance.now();
  try {
    for (const _step of copyFolder(source, target, "", copying)) {
      if (performance.now() - turnBegan < TURN_MS) continue;
      await nextTurn();
      signal.throwIfAborted();
      turnBegan = performance.now();
    }
    finishFolder(source, target, fstatSync(source, { bigint: true }), "/", all);
  } finally {
    at.close(source);
    at.close(target);
  }
}

interface Copying {
  /** Of the copy. */
  root: number;
  /** The first name of files with several, by inode. */
  links: Map<bigint, string>;
  share: boolean;
  all: boolean;
  onto: boolean;
}

function* copyFolder(source: number, target: number, prefix: string, copying: Copying): Generator<void> {
  for (const leaf of namesIn(source)) {
    const status = statusAt(source, leaf);
    if (status === undefined || status.isSocket()) continue;
    const name = `${prefix}${leaf}`;
    yield;
    if (status.isDirectory()) {
      yield* copyDirectory(source, target, leaf, name, copying);
      continue;
    }
    if (copying.onto) remove(target, leaf);
    if (copying.onto && isWhiteout(status)) continue;
    if (copying.share && status.isFile()) {
      at.linkAt(source, leaf, target, leaf);
      continue;
    }
    const known = copying.links.get(status.ino);
    if (known !== undefined) at.linkAt(copying.root, known, target, leaf);
    else if (!status.isFile()) copyOther(source, target, leaf, status);
    else if (!(yield* copyFile(source, target, leaf, copying.all))) continue;
    if (status.nlink > 1n) copying.links.set(status.ino, name);
  }
}

function* copyDirectory(source: number, target: number, leaf: string, name: string, copying: Copying): Generator<void> {
  const from = openFolderAt(source, leaf);
  if (from === undefined) return;
  try {
    const there = copying.onto && !isOpaque(from) ? openFolderAt(target, leaf) : undefined;
    if (there === undefined) {
      if (copying.onto) remove(target, leaf);
      at.makeDirectoryAt(target, leaf, 0o700);
    }
    const to = there ?? at.openAt(target, leaf, at.O_RDONLY | at.O_DIRECTORY | at.O_NOFOLLOW);
    try {
      yield* copyFolder(from, to, `${name}/`, copying);
      finishFolder(from, to, fstatSync(from, { bigint: true }), name, copying.all);
    } finally {
      at.close(to);
    }
  } finally {
    at.close(from);
  }
}

/** Owner first: a chown takes setuid bits and capabilities away. Times last. */
export function finishFolder(from: number, to: number, status: BigIntStats, name: string, all = false): void {
  at.changeOwner(to, Number(status.uid), Number(status.gid), name);
  at.changeMode(to, Number(status.mode) & 0o7777, name);
  copyAttributes(from, to, all ? ALL : [OPAQUE_ATTRIBUTE], name);
  at.setTimes(to, at.timeOf(status.mtimeNs), name);
}

/** False when it is not there any more. */
function* copyFile(source: number, target: number, leaf: string, all: boolean): Generator<void, boolean> {
  const from = openFileAt(source, leaf);
  if (from === undefined) return false;
  try {
    const to = at.openAt(target, leaf, at.O_WRONLY | at.O_CREAT | at.O_EXCL | at.O_NOFOLLOW, 0o600);
    try {
      const status = fstatSync(from, { bigint: true });
      if (status.blocks * 512n < status.size) yield* copySparse(from, to, Number(status.size), leaf);
      else yield* copyBytes(from, to, leaf);
      at.changeOwner(to, Number(status.uid), Number(status.gid), leaf);
      at.changeMode(to, Number(status.mode) & 0o7777, leaf);
      copyAttributes(from, to, all ? ALL : [CAPABILITY], leaf);
      at.setTimes(to, at.timeOf(status.mtimeNs), leaf);
      return true;
    } finally {
      at.close(to);
    }
  } finally {
    at.close(from);
  }
}

/** Symlinks, devices (whiteouts among them) and FIFOs. */
function copyOther(source: number, target: number, leaf: string, status: BigIntStats): void {
  if (status.isSymbolicLink()) {
    at.symlinkAt(readlinkSync(pathOf(`/proc/self/fd/${source}/${leaf}`), "latin1"), target, leaf);
  } else at.makeNodeAt(target, leaf, Number(status.mode), at.deviceParts(status.rdev));
  at.changeOwnerAt(target, leaf, Number(status.uid), Number(status.gid));
  if (!status.isSymbolicLink()) at.changeModeAt(target, leaf, Number(status.mode) & 0o7777);
  at.setTimesAt(target, leaf, at.timeOf(status.mtimeNs));
}

const ALL = "all";

function copyAttributes(from: number, to: number, names: string[] | typeof ALL, what: string): void {
  if (names !== ALL) {
    for (const name of names) {
      const value = attributeOfOpen(from, name, what);
      if (value !== undefined) setAttribute(to, name, value, what);
    }
    return;
  }
  for (const [name, value] of attributesOfOpen(from, what)) if (!name.startsWith("trusted.overlay.")) setAttribute(to, name, value, what);
}

/** Whatever is there, a folder with all in it. */
function remove(folder: number, leaf: string): void {
  rmSync(Buffer.from(`/proc/self/fd/${folder}/${leaf}`, "latin1"), { recursive: true, force: true });
}

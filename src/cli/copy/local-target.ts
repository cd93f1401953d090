import {
  chmodSync,
  closeSync,
  constants,
  fchmodSync,
  ftruncateSync,
  futimesSync,
  linkSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  openSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeSync,
  type Stats,
} from "node:fs";
import path from "node:path";

import { codeOf, messageOf } from "../../base/errors.ts";
import type { FileTime } from "../../base/time.ts";
import type { TarEntry, TarSink } from "../../tar/tar-reader.ts";
import { goError } from "./go-errors.ts";
import { splitPath, type Place } from "./places.ts";

/** What is copied here: where to, and unpacked there. */

const MAX_LINKS = 10;

/** Before anything is asked of the engine. */
export function checkTarget(target: string): void {
  const folder = path.dirname(path.normalize(target).replace(/(.)\/$/, "$1"));
  if (statSync(folder, { throwIfNoEntry: false }) === undefined)
    throw new Error(`invalid output path: directory "${folder}" does not exist`);
  const found = statSync(target, { throwIfNoEntry: false });
  if (found?.isBlockDevice() === true || found?.isCharacterDevice() === true)
    throw new Error(`invalid output path: "${target}" must be a directory or a regular file: got a device`);
}

/** Symlinks are followed, also to where nothing is yet. */
export function findTarget(given: string): Place {
  let target = given;
  for (let links = 0; ; links += 1) {
    const found = lstatSync(target, { throwIfNoEntry: false });
    if (found === undefined) break;
    if (!found.isSymbolicLink()) return { path: target, exists: true, isFolder: found.isDirectory() };
    if (links > MAX_LINKS) throw new Error(`too many symlinks in ${given}`);
    target = path.resolve(splitPath(target).folder, readlinkSync(target));
  }
  const { folder } = splitPath(target);
  const above = statOf(folder);
  if (!above.isDirectory()) throw new Error("not a directory");
  return { path: target, exists: false, isFolder: false };
}

function statOf(folder: string): Stats {
  try {
    return statSync(folder);
  } catch (error) {
    throw goError("stat", folder, error);
  }
}

/**
 * Unpacks an archive in a folder. Nothing is written outside of it, whatever the archive says: every folder on the way to an entry must be a
 * real one. A folder takes no file's place, nor a file a folder's. Everything is ours, as with Docker.
 */
export class LocalTarget implements TarSink {
  readonly #folder: string;
  readonly #rename: (name: string) => string;
  readonly #times = new Map<string, FileTime>();
  /** Folders that are known to be real. */
  readonly #real = new Set<string>([""]);
  #file: { fd: number; place: string; entry: TarEntry } | undefined;

  constructor(folder: string, rename: (name: string) => string) {
    this.#folder = folder;
    this.#rename = rename;
  }

  begin(entry: TarEntry): void {
    const name = this.#clean(entry.name);
    const place = this.#place(name);
    const there = lstatSync(bytesOf(place), { throwIfNoEntry: false });
    const isFolder = entry.type === "directory";
    if (there !== undefined && there.isDirectory() !== isFolder) {
      const [old, next] = isFolder ? ["non-directory", "directory"] : ["directory", "non-directory"];
      throw new Error(`cannot overwrite ${old} "${textOf(place)}" with ${next} "${this.#folder}"`);
    }
    // The folder itself stays as it is.
    if (name === "") return;
    try {
      if (there !== undefined && !isFolder) rmSync(bytesOf(place));
      this.#make(entry, name, place, there !== undefined);
    } catch (error) {
      throw codeOf(error) === undefined ? error : goError(CALLS[entry.type], textOf(place), error);
    }
  }

  data(bytes: Buffer): void {
    if (this.#file === undefined) return;
    try {
      for (let offset = 0; offset < bytes.length;) offset += writeSync(this.#file.fd, bytes, offset);
    } catch (error) {
      throw goError("write", textOf(this.#file.place), error);
    }
  }

  hole(sizeBytes: number): void {
    if (this.#file === undefined) return;
    const { fd } = this.#file;
    for (let left = sizeBytes; left > 0; left -= ZEROS.length) writeSync(fd, ZEROS, 0, Math.min(left, ZEROS.length));
  }

  end(): void {
    if (this.#file === undefined) return;
    const { fd, entry } = this.#file;
    ftruncateSync(fd, entry.sizeBytes);
    fchmodSync(fd, entry.mode & 0o7777);
    futimesSync(fd, secondsOf(entry.modified), secondsOf(entry.modified));
    closeSync(fd);
    this.#file = undefined;
  }

  /** Folders get their times once nothing comes into them any more. */
  finish(): void {
    for (const [place, time] of this.#times) utimesSync(bytesOf(place), secondsOf(time), secondsOf(time));
  }

  /** A file that is not whole goes. */
  abandon(): void {
    if (this.#file === undefined) return;
    closeSync(this.#file.fd);
    rmSync(bytesOf(this.#file.place), { force: true });
    this.#file = undefined;
  }

  #make(entry: TarEntry, name: string, place: string, exists: boolean): void {
    const where = bytesOf(place);
    switch (entry.type) {
      case "file": {
        const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
        this.#file = { fd: openSync(where, flags, entry.mode & 0o777), place, entry };
        return;
      }
      case "directory":
        if (!exists) mkdirSync(where);
        chmodSync(where, entry.mode & 0o7777);
        this.#times.set(place, entry.modified);
        this.#real.add(name);
        return;
      case "hardlink":
        linkSync(bytesOf(this.#place(this.#clean(entry.linkName))), where);
        return;
      case "symlink":
        symlinkSync(bytesOf(entry.linkName), where);
        break;
      case "fifo":
      case "character":
      case "block":
        makeNode(entry, place);
        chmodSync(where, entry.mode & 0o7777);
        break;
    }
    lutimesSync(where, secondsOf(entry.modified), secondsOf(entry.modified));
  }

  /** By its letters: a binary string without a slash at either end. */
  #clean(given: string): string {
    const name = path.posix.normalize(this.#rename(given)).replace(/^\/+|\/+$/g, "");
    if (name === ".." || name.startsWith("../")) throw new Error(`"${textOf(given)}" is outside of "${this.#folder}"`);
    return name === "." ? "" : name;
  }

  /** Where it is to be; the folders on the way are made where they are missing. */
  #place(name: string): string {
    const root = Buffer.from(this.#folder, "utf8")
      .toString("latin1")
      .replace(/\/\.?$/, "");
    const parts = name.split("/");
    for (let depth = 1; depth < parts.length; depth += 1) {
      const above = parts.slice(0, depth).join("/");
      if (this.#real.has(above)) continue;
      const found = lstatSync(bytesOf(`${root}/${above}`), { throwIfNoEntry: false });
      if (found === undefined) mkdirSync(bytesOf(`${root}/${above}`), { mode: 0o755 });
      else if (!found.isDirectory())
        throw new Error(`"${textOf(name)}" would be outside of "${this.#folder}": ${textOf(above)} is no folder`);
      this.#real.add(above);
    }
    return name === "" ? root || "/" : `${root}/${name}`;
  }
}

const ZEROS = Buffer.alloc(64 * 1024);
const CALLS = {
  file: "open",
  directory: "mkdir",
  hardlink: "link",
  symlink: "symlink",
  fifo: "mkfifo",
  character: "mknod",
  block: "mknod",
};

/** Node has no call for it. */
function makeNode({ type, major, minor }: TarEntry, place: string): void {
  const { spawnSync } = process.getBuiltinModule("node:child_process");
  const numbers = type === "fifo" ? [] : [String(major), String(minor)];
  const kind = { fifo: "p", character: "c", block: "b" }[type as "fifo" | "character" | "block"];
  const { status, stderr, error } = spawnSync("mknod", ["--", textOf(place), kind, ...numbers], { encoding: "utf8" });
  if (status !== 0) throw new Error(`mknod ${textOf(place)}: ${error === undefined ? stderr.trim() : messageOf(error)}`);
}

const secondsOf = ({ seconds, nanoseconds }: FileTime): number => seconds + nanoseconds / 1e9;
const textOf = (binary: string): string => Buffer.from(binary, "latin1").toString("utf8");
const bytesOf = (binary: string): Buffer => Buffer.from(binary, "latin1");

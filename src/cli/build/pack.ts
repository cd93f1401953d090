import { closeSync, constants, fstatSync, lstatSync, openSync, readdirSync, readlinkSync, type Dirent, type Stats } from "node:fs";
import path from "node:path";
import { codeOf } from "../../base/errors.ts";
import type { IgnoreMatcher } from "../../base/ignore-file.ts";
import { CommandFailure } from "../failure.ts";
import { warn } from "../output/print.ts";
import { Chunks } from "./chunks.ts";
import { tarEnd, tarHeader, tarPadding, type TarEntry } from "./tar.ts";

/**
 * A folder as the tar archive that the engine builds from: names in order, folders before what is in them, without what is ignored. Made
 * while it is sent, a chunk at a time, by plain synchronous calls, which are the fastest that there are for thousands of small files.
 */

export type PackOptions = {
  readonly ignore: IgnoreMatcher;
  /** Files that are not in the folder, or stand in place of those there. */
  readonly instead?: ReadonlyMap<string, Buffer>;
};

export function* packFolder(root: string, { ignore, instead = new Map() }: PackOptions): Generator<Buffer> {
  const chunks = new Chunks();
  for (const entry of entriesOf(root, ignore)) {
    if (instead.has(entry.name)) continue;
    yield* chunks.add(tarHeader(entry));
    if (entry.descriptor === undefined) continue;
    try {
      yield* chunks.addFile(entry.descriptor, entry.sizeBytes, path.join(root, entry.name));
      yield* chunks.add(tarPadding(entry.sizeBytes));
    } finally {
      closeSync(entry.descriptor);
    }
  }
  for (const [name, content] of instead) {
    const mtimeSeconds = Math.floor(Date.now() / 1000);
    yield* chunks.add(tarHeader({ name, type: "file", mode: 0o600, sizeBytes: content.length, mtimeSeconds }));
    yield* chunks.add(content);
    yield* chunks.add(tarPadding(content.length));
  }
  yield* chunks.add(tarEnd());
  yield chunks.rest();
}

/** An entry, and its content where it has some: the descriptor is the taker's to close. */
type Packed = TarEntry & { readonly descriptor?: number };

function* entriesOf(root: string, ignore: IgnoreMatcher): Generator<Packed> {
  /** The first name of each file that has several. */
  const names = new Map<string, string>();
  function* below(folder: string): Generator<Packed> {
    for (const found of list(root, folder)) {
      const name = folder === "" ? found.name : `${folder}/${found.name}`;
      const isIgnored = ignore.isIgnored(name);
      const isFolder = found.isDirectory();
      if (!isIgnored) {
        const entry = entryOf(root, name, found, names);
        if (entry !== undefined) yield entry;
      }
      if (isFolder && (!isIgnored || ignore.mayHoldIncluded(name))) yield* below(name);
    }
  }
  yield* below("");
}

function list(root: string, folder: string): Dirent[] {
  const full = path.join(root, folder);
  try {
    return readdirSync(full, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1));
  } catch (error) {
    if (codeOf(error) === "EACCES") throw new CommandFailure(`error checking context: can't stat '${full}'`, 1, { cause: error });
    throw error;
  }
}

function entryOf(root: string, name: string, found: Dirent, names: Map<string, string>): Packed | undefined {
  const full = path.join(root, name);
  if (found.isSocket()) return skip(full, "archive/tar: sockets not supported");
  let descriptor: number | undefined;
  try {
    // Not a link that came in its place, and without waiting for whoever writes to a pipe.
    if (found.isFile()) descriptor = openSync(full, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    const stats = descriptor === undefined ? lstatSync(full) : fstatSync(descriptor);
    const entry = { name, mode: stats.mode, mtimeSeconds: Math.floor(stats.mtimeMs / 1000), sizeBytes: 0 };
    const first = stats.isDirectory() || stats.nlink === 1 ? undefined : firstName(stats, name, names);
    if (first !== undefined) {
      if (descriptor !== undefined) closeSync(descriptor);
      return { ...entry, type: "hardlink", link: first };
    }
    if (descriptor !== undefined) return { ...entry, type: "file", sizeBytes: stats.size, descriptor };
    if (stats.isDirectory()) return { ...entry, name: `${name}/`, type: "folder" };
    if (stats.isSymbolicLink()) return { ...entry, type: "symlink", link: readlinkSync(full) };
    if (stats.isFIFO()) return { ...entry, type: "fifo" };
    return { ...entry, type: stats.isBlockDevice() ? "block" : "character", device: deviceOf(stats) };
  } catch (error) {
    const code = codeOf(error);
    if (code === "EACCES") throw new CommandFailure(`error checking context: no permission to read from '${full}'`, 1, { cause: error });
    if (code === "ENOENT" && !name.includes("\uFFFD")) return skip(full, "no such file or directory");
    if (code === "ENOENT") {
      throw new CommandFailure(
        `the name of a file in ${path.dirname(full)} is not UTF-8 (${path.basename(name)}): rename it, or have .dockerignore leave it out`,
      );
    }
    throw error;
  }
}

/** It went away, or is nothing to send: that is said, and the rest goes. */
function skip(file: string, why: string): undefined {
  warn(`Can't add file ${file} to tar: ${why}`);
}

function firstName(stats: Stats, name: string, names: Map<string, string>): string | undefined {
  const key = `${stats.dev}:${stats.ino}`;
  const first = names.get(key);
  if (first === undefined) names.set(key, name);
  return first;
}

/** Linux's encoding of the two numbers of a device. */
function deviceOf({ rdev }: Stats): { major: number; minor: number } {
  return { major: (rdev >> 8) & 0xfff, minor: (rdev & 0xff) | ((rdev >> 12) & 0xfff00) };
}

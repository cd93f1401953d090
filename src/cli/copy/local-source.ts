import { closeSync, constants, fstatSync, lstatSync, openSync, readdirSync, readlinkSync, realpathSync, type BigIntStats } from "node:fs";
import path from "node:path";

import { codeOf, messageOf } from "../../base/errors.ts";
import { END_BYTES, packHeader, paddingAfter, type PackedHeader } from "../../tar/pack-header.ts";
import { Chunks } from "../build/chunks.ts";
import { warn } from "../output/print.ts";
import { goError } from "./go-errors.ts";
import { keepName, nameOf, splitPath, type Source } from "./places.ts";

/** What is copied from here: found, and made an archive while it is sent. Names are binary strings: they need not be UTF-8. */

/** Looks at a path; its own last part is a symlink that is followed only where that is wanted. */
export function findSource(given: string, { follow }: { follow: boolean }): Source {
  const found = follow ? keepName(given, realPath(given)) : besideLinks(given);
  return { ...found, exists: true, isFolder: statusOf(binaryOf(found.path)).isDirectory() };
}

function besideLinks(given: string): { path: string; calledAs?: string } {
  const slash = given.lastIndexOf("/") + 1;
  const folder = realPath(given.slice(0, slash) || ".");
  const found = `${folder}/${given.slice(slash)}`;
  return given.endsWith("/") ? keepName(given, found) : { path: found };
}

function realPath(given: string): string {
  try {
    return realpathSync.native(given);
  } catch (error) {
    throw goError("lstat", endOfLinks(given), error);
  }
}

/** Where a chain of symlinks leads to nothing: that is what is missing. */
function endOfLinks(given: string): string {
  let file = given;
  for (let links = 0; links < 10 && lstatSync(file, { throwIfNoEntry: false })?.isSymbolicLink() === true; links += 1)
    file = path.resolve(path.dirname(file), readlinkSync(file));
  return file;
}

/** The archive in pieces, its one thing called `name`. */
export function* packSource(source: Source, name = nameOf(source)): Generator<Buffer> {
  const { folder, name: leaf } = splitPath(source.path);
  const packing: Packing = { chunks: new Chunks(), seen: new Map() };
  const root = binaryOf(leaf === "." || leaf === "/" ? folder : `${folder}/${leaf}`);
  yield* packAny(root, binaryOf(name === "/" ? "." : name), statusOf(root), packing);
  yield* packing.chunks.add(Buffer.alloc(END_BYTES));
  yield packing.chunks.rest();
}

interface Packing {
  chunks: Chunks;
  /** The first name of each file that has several. */
  seen: Map<string, string>;
}

function* packAny(file: string, name: string, status: BigIntStats, packing: Packing): Generator<Buffer> {
  const { chunks, seen } = packing;
  if (status.isDirectory()) {
    yield* chunks.add(packHeader(headerOf(`${name}/`, status, "5")));
    for (const leaf of namesIn(file)) {
      const found = lstatSync(pathOf(`${file}/${leaf}`), { bigint: true, throwIfNoEntry: false });
      if (found !== undefined) yield* packAny(`${file}/${leaf}`, `${name}/${leaf}`, found, packing);
    }
    return;
  }
  if (status.isSocket()) return leaveOut(file, "archive/tar: sockets not supported");
  const identity = `${status.dev}:${status.ino}`;
  const first = status.nlink > 1n ? seen.get(identity) : undefined;
  if (first !== undefined) return yield* chunks.add(packHeader({ ...headerOf(name, status, "1"), linkName: first }));
  if (status.nlink > 1n) seen.set(identity, name);
  if (status.isFile()) return yield* packFile(file, name, chunks);
  const linkName = status.isSymbolicLink() ? readlinkSync(pathOf(file), "latin1") : "";
  yield* chunks.add(packHeader({ ...headerOf(name, status, typeFlagOf(status)), linkName }));
}

function* packFile(file: string, name: string, chunks: Chunks): Generator<Buffer> {
  let fd: number;
  try {
    // Not a link that came in its place, and without waiting for whoever writes to a pipe.
    fd = openSync(pathOf(file), constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    return leaveOut(file, messageOf(goError("open", textOf(file), error)));
  }
  try {
    const status = fstatSync(fd, { bigint: true });
    if (!status.isFile()) return leaveOut(file, "it is no file any more");
    const sizeBytes = Number(status.size);
    yield* chunks.add(packHeader({ ...headerOf(name, status, "0"), sizeBytes }));
    yield* chunks.addFile(fd, sizeBytes, textOf(file));
    yield* chunks.add(Buffer.alloc(paddingAfter(sizeBytes)));
  } finally {
    closeSync(fd);
  }
}

/** Said, and the rest goes, as with Docker. */
function leaveOut(file: string, why: string): void {
  warn(`Can't add file ${textOf(file)} to tar: ${why}`);
}

function headerOf(name: string, status: BigIntStats, typeFlag: string): PackedHeader {
  const isDevice = status.isCharacterDevice() || status.isBlockDevice();
  const device = Number(status.rdev);
  return {
    typeFlag,
    name,
    linkName: "",
    mode: Number(status.mode) & 0o7777,
    user: Number(status.uid),
    group: Number(status.gid),
    sizeBytes: 0,
    modifiedSeconds: Number(status.mtimeNs / 1_000_000_000n - (status.mtimeNs % 1_000_000_000n < 0n ? 1n : 0n)),
    // Linux's encoding of the two numbers of a device.
    major: isDevice ? (device >> 8) & 0xfff : 0,
    minor: isDevice ? (device & 0xff) | ((device >> 12) & 0xfff00) : 0,
  };
}

function typeFlagOf(status: BigIntStats): string {
  if (status.isSymbolicLink()) return "2";
  if (status.isCharacterDevice()) return "3";
  return status.isBlockDevice() ? "4" : "6";
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(pathOf(folder), "latin1").sort();
  } catch (error) {
    if (codeOf(error) !== "ENOENT") leaveOut(folder, messageOf(goError("open", textOf(folder), error)));
    return [];
  }
}

function statusOf(file: string): BigIntStats {
  try {
    return lstatSync(pathOf(file), { bigint: true });
  } catch (error) {
    throw goError("lstat", textOf(file), error);
  }
}

const binaryOf = (text: string): string => Buffer.from(text, "utf8").toString("latin1");
const textOf = (binary: string): string => Buffer.from(binary, "latin1").toString("utf8");
const pathOf = (binary: string): Buffer => Buffer.from(binary, "latin1");

import { fstatSync, readlinkSync, unlinkSync, type BigIntStats } from "node:fs";

import { codeOf } from "../../base/errors.ts";
import { attributesOf, attributesOfOpen, removeAttributeOfPath } from "../../kernel/file-attributes.ts";
import * as at from "../../kernel/openat.ts";
import { OPAQUE_ATTRIBUTE, OPAQUE_VALUE } from "../unpack/overlay-marks.ts";
import { PieceBuffer } from "./piece-buffer.ts";
import { END_BYTES, packHeader, paddingAfter, type PackedHeader } from "../../tar/pack-header.ts";
import { changesBetween, type TreeChange } from "./tree-changes.ts";
import { CAPABILITY, isWhiteout, namesIn, openFileAt, openFolderAt, pathOf, statusAt } from "./walk.ts";

/**
 * A tree as the tar that dockerd would make of it (moby's pkg/archive): parents first, names in the order of their bytes, the root itself
 * left out, times cut to seconds, of the extended attributes only `security.capability`, sockets left out.
 */
export interface PackOptions {
  /** The tree is an overlay's upper folder: its marks are packed as `.wh.` entries. */
  isUpper: boolean;
  /** Takes away what the tar does not hold, so that the tree is the layer that a tar of it would unpack to. */
  settle?: boolean;
}

/** What was packed so far. */
export interface PackCounts {
  /** Of all regular files and symlinks. */
  bytes: number;
}

/** The archive in pieces; a piece is only valid until the next is asked for. `root` is a descriptor of the folder. */
export function* packTree(root: number, options: PackOptions, counts: PackCounts): Generator<Buffer> {
  const output = new PieceBuffer();
  yield* packFolder(root, "", { options, counts, output, seen: new Map() });
  yield* output.zeros(END_BYTES);
  yield* output.rest();
}

/**
 * The archive of one thing alone, with all that is in it. `leaf` is its name in the folder, `.` for the folder itself; the archive calls it
 * `name`. It may be changing: what is gone when its turn comes is left out, but when that is all of it, it is an error.
 */
export function* packOne(folder: number, leaf: string, name: string): Generator<Buffer> {
  const output = new PieceBuffer();
  const packing: Packing = { options: { isUpper: false }, counts: { bytes: 0 }, output, seen: new Map() };
  const status = statusAt(folder, leaf);
  if (status?.isDirectory() === true) yield* packDirectory(folder, leaf, name, status, packing);
  else if (status?.isSocket() === false) yield* packLeaf(folder, leaf, name.slice(0, -leaf.length), status, packing);
  if (status?.isSocket() !== true && output.isUnused) throw new Error("it has gone away meanwhile");
  yield* output.zeros(END_BYTES);
  yield* output.rest();
}

/**
 * The same of what is different from the tree `since`: with `.wh.` entries for what is gone. In the order of whole paths, which is another
 * one, as in moby's ExportChanges; only the time of `.wh.` entries is not that of the packing.
 */
export function* packChanges(root: number, since: number, counts: PackCounts): Generator<Buffer> {
  const output = new PieceBuffer();
  const changes: TreeChange[] = [];
  for (const change of changesBetween(since, root)) {
    if (change === undefined) yield NOTHING;
    else changes.push(change);
  }
  const packing: Packing = { options: { isUpper: false }, counts, output, seen: new Map() };
  for (const change of changes.toSorted((a, b) => (a.path < b.path ? -1 : 1))) yield* packChange(root, change, packing);
  yield* output.zeros(END_BYTES);
  yield* output.rest();
}

const NOTHING = Buffer.alloc(0);

function* packChange(root: number, { path, isDeleted }: TreeChange, packing: Packing): Generator<Buffer> {
  const slash = path.lastIndexOf("/") + 1;
  const [prefix, leaf] = [path.slice(0, slash), path.slice(slash)];
  if (isDeleted) return yield* packing.output.bytes(packHeader({ ...EMPTY_FILE, name: `${prefix}.wh.${leaf}` }));
  const folder = at.openInRoot(root, prefix, at.O_RDONLY | at.O_DIRECTORY | at.O_NOFOLLOW);
  try {
    const status = statusAt(folder, leaf);
    if (status?.isDirectory() !== true) return status === undefined ? undefined : yield* packLeaf(folder, leaf, prefix, status, packing);
    const place = `/proc/self/fd/${folder}/${leaf}`;
    const header = { ...headerOf(`${path}/`, status, "5"), attributes: keptOf(attributesOf(place), place, packing.options) };
    yield* packing.output.bytes(packHeader(header));
  } finally {
    at.close(folder);
  }
}

interface Packing {
  options: PackOptions;
  counts: PackCounts;
  output: PieceBuffer;
  /** The first name of files with several, by file system and inode. */
  seen: Map<string, string>;
}

function* packFolder(folder: number, prefix: string, packing: Packing): Generator<Buffer> {
  for (const leaf of namesIn(folder)) {
    try {
      const status = statusAt(folder, leaf);
      if (status === undefined) continue;
      if (status.isDirectory()) yield* packDirectory(folder, leaf, `${prefix}${leaf}`, status, packing);
      else if (!status.isSocket()) yield* packLeaf(folder, leaf, prefix, status, packing);
      else if (packing.options.settle === true) unlinkSync(pathOf(`/proc/self/fd/${folder}/${leaf}`));
    } catch (error) {
      // It went away meanwhile, before any of it was packed.
      if (codeOf(error) !== "ENOENT") throw error;
    }
  }
}

function* packDirectory(folder: number, leaf: string, name: string, status: BigIntStats, packing: Packing): Generator<Buffer> {
  const fd = openFolderAt(folder, leaf);
  if (fd === undefined) return;
  try {
    const attributes = attributesOf(`/proc/self/fd/${fd}/.`);
    const header = { ...headerOf(`${name}/`, status, "5"), attributes: keptOf(attributes, `/proc/self/fd/${fd}/.`, packing.options) };
    yield* packing.output.bytes(packHeader(header));
    if (packing.options.isUpper && attributes.get(OPAQUE_ATTRIBUTE)?.equals(OPAQUE_VALUE) === true) {
      const { user, group, mode } = header;
      yield* packing.output.bytes(packHeader({ ...EMPTY_FILE, name: `${name}/.wh..wh..opq`, mode: mode & 0o777, user, group }));
    }
    yield* packFolder(fd, `${name}/`, packing);
  } finally {
    at.close(fd);
  }
}

function* packLeaf(folder: number, leaf: string, prefix: string, status: BigIntStats, packing: Packing): Generator<Buffer> {
  const { output, seen, options } = packing;
  const name = `${prefix}${leaf}`;
  const path = `/proc/self/fd/${folder}/${leaf}`;
  const identity = `${status.dev}:${status.ino}`;
  const linkName = status.nlink > 1n ? (seen.get(identity) ?? "") : "";
  if (status.nlink > 1n && linkName === "") seen.set(identity, name);
  if (options.isUpper && isWhiteout(status)) {
    // The kernel makes whiteouts as links of one inode, and dockerd leaves the name of the first in the others' headers.
    return yield* output.bytes(packHeader({ ...headerOf(`${prefix}.wh.${leaf}`, status, "0"), mode: 0o600, linkName }));
  }
  if (status.isFile() && linkName === "") return yield* packFile(folder, leaf, headerOf(name, status, "0"), packing);
  const header = { ...headerOf(name, status, typeFlagOf(status)), attributes: keptOf(attributesOf(path), path, options) };
  if (linkName !== "") return yield* output.bytes(packHeader({ ...header, typeFlag: "1", linkName }));
  const target = status.isSymbolicLink() ? readlinkSync(pathOf(path), "latin1") : "";
  yield* output.bytes(packHeader({ ...header, linkName: target }));
  packing.counts.bytes += target.length;
}

function* packFile(folder: number, leaf: string, header: PackedHeader, { output, counts, options }: Packing): Generator<Buffer> {
  const fd = openFileAt(folder, leaf);
  if (fd === undefined) return;
  try {
    const { size: sizeBytes } = fstatSync(fd);
    const attributes = keptOf(attributesOfOpen(fd, leaf), `/proc/self/fd/${folder}/${leaf}`, options);
    yield* output.bytes(packHeader({ ...header, sizeBytes, attributes }));
    yield* output.file(fd, sizeBytes);
    yield* output.zeros(paddingAfter(sizeBytes));
    counts.bytes += sizeBytes;
  } finally {
    at.close(fd);
  }
}

const EMPTY_FILE: PackedHeader = {
  typeFlag: "0",
  name: "",
  linkName: "",
  mode: 0,
  user: 0,
  group: 0,
  sizeBytes: 0,
  modifiedSeconds: 0,
  major: 0,
  minor: 0,
};

function headerOf(name: string, status: BigIntStats, typeFlag: string): PackedHeader {
  const isDevice = status.isCharacterDevice() || status.isBlockDevice();
  return {
    ...EMPTY_FILE,
    typeFlag,
    name,
    mode: Number(status.mode) & 0o7777,
    user: Number(status.uid),
    group: Number(status.gid),
    modifiedSeconds: at.timeOf(status.mtimeNs).seconds,
    ...(isDevice ? at.deviceParts(status.rdev) : {}),
  };
}

function typeFlagOf(status: BigIntStats): string {
  if (status.isSymbolicLink()) return "2";
  if (status.isCharacterDevice()) return "3";
  if (status.isBlockDevice()) return "4";
  return status.isFIFO() ? "6" : "0";
}

/** Attributes that processes give files and that no tar holds. */
const UNPACKED = /^(?:user\.|system\.posix_acl_|trusted\.(?!overlay\.))/;

/** Those attributes that are packed. */
function keptOf(attributes: ReadonlyMap<string, Buffer>, path: string, { settle }: PackOptions): Map<string, Buffer> {
  if (settle === true) {
    for (const name of attributes.keys()) {
      if (UNPACKED.test(name)) removeAttributeOfPath(path, name);
    }
  }
  const capability = attributes.get(CAPABILITY);
  return new Map(capability === undefined ? [] : [[CAPABILITY, withoutNamespace(capability)]]);
}

const CAPABILITY_REVISION_AT = 3;
const CAPABILITY_2_BYTES = 20;

/** Revision 3 names the root user of the namespace it was set in, which means nothing elsewhere: packed as revision 2, without it. */
function withoutNamespace(capability: Buffer): Buffer {
  if (capability[CAPABILITY_REVISION_AT] !== 3) return capability;
  const plain = Buffer.from(capability.subarray(0, CAPABILITY_2_BYTES));
  plain[CAPABILITY_REVISION_AT] = 2;
  return plain;
}

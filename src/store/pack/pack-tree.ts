import { fstatSync, lstatSync, readdirSync, readlinkSync, readSync, type BigIntStats } from "node:fs";

import { codeOf } from "../../base/errors.ts";
import { attributeOf } from "../../kernel/file-attributes.ts";
import * as at from "../../kernel/openat.ts";
import { OPAQUE_ATTRIBUTE } from "../unpack/overlay-marks.ts";
import { END_BYTES, packHeader, paddingAfter, type PackedHeader } from "./tar-headers.ts";

/**
 * A tree as the tar that dockerd would make of it (moby's pkg/archive): parents first, names in the order of their bytes, the root itself
 * left out, times cut to seconds, of the extended attributes only `security.capability`, sockets left out.
 *
 * Every folder is opened below the one before it and nothing is followed: the tree may be a container's that changes meanwhile.
 */
export interface PackOptions {
  /** The tree is an overlay's upper folder: its marks are packed as `.wh.` entries. */
  isUpper: boolean;
}

/** What was packed so far. */
export interface PackCounts {
  /** Of all regular files. */
  bytes: number;
}

const BUFFER_BYTES = 1024 * 1024;

/** The archive in pieces; a piece is only valid until the next is asked for. `root` is a descriptor of the folder. */
export function* packTree(root: number, options: PackOptions, counts: PackCounts): Generator<Buffer> {
  const output = new PieceBuffer();
  /** Names of files with several, by inode. */
  const seen = new Map<bigint, string>();
  yield* packFolder(root, "", { options, counts, output, seen });
  yield* output.zeros(END_BYTES);
  yield* output.rest();
}

interface Packing {
  options: PackOptions;
  counts: PackCounts;
  output: PieceBuffer;
  seen: Map<bigint, string>;
}

function* packFolder(folder: number, prefix: string, packing: Packing): Generator<Buffer> {
  // Binary strings sort as their bytes do.
  for (const leaf of readdirSync(`/proc/self/fd/${folder}`, "latin1").sort()) {
    const path = `/proc/self/fd/${folder}/${leaf}`;
    const status = statusOf(path);
    if (status === undefined || status.isSocket()) continue;
    if (status.isDirectory()) yield* packDirectory(folder, leaf, `${prefix}${leaf}`, status, packing);
    else yield* packLeaf(folder, leaf, `${prefix}${leaf}`, status, packing);
  }
}

function* packDirectory(folder: number, leaf: string, name: string, status: BigIntStats, packing: Packing): Generator<Buffer> {
  const fd = openIfThere(folder, leaf, at.O_RDONLY | at.O_DIRECTORY | at.O_NOFOLLOW);
  if (fd === undefined) return;
  try {
    const header = headerOf(`${name}/`, status, "5", `/proc/self/fd/${fd}/.`);
    yield* packing.output.bytes(packHeader(header));
    if (packing.options.isUpper && attributeOf(`/proc/self/fd/${fd}/.`, OPAQUE_ATTRIBUTE)?.toString("latin1") === "y") {
      const { user, group } = header;
      const mode = header.mode & 0o777;
      const mark = { ...EMPTY_FILE, name: `${name}/.wh..wh..opq`, mode, user, group };
      yield* packing.output.bytes(packHeader(mark));
    }
    yield* packFolder(fd, `${name}/`, packing);
  } finally {
    at.close(fd);
  }
}

function* packLeaf(folder: number, leaf: string, name: string, status: BigIntStats, packing: Packing): Generator<Buffer> {
  const path = `/proc/self/fd/${folder}/${leaf}`;
  const firstName = status.nlink > 1n ? packing.seen.get(status.ino) : undefined;
  if (status.nlink > 1n && firstName === undefined) packing.seen.set(status.ino, name);
  if (packing.options.isUpper && status.isCharacterDevice() && status.rdev === 0n) {
    const mark = headerOf(`${name.slice(0, name.length - leaf.length)}.wh.${leaf}`, status, "0", undefined);
    // The kernel makes whiteouts as links of one inode; dockerd leaves the name of the first in the others.
    return yield* packing.output.bytes(packHeader({ ...mark, mode: 0o600, linkName: firstName ?? "" }));
  }
  const header = headerOf(name, status, typeFlagOf(status), path);
  if (firstName !== undefined) return yield* packing.output.bytes(packHeader({ ...header, typeFlag: "1", linkName: firstName }));
  if (status.isSymbolicLink()) {
    return yield* packing.output.bytes(packHeader({ ...header, linkName: readlinkSync(pathOf(path), "latin1") }));
  }
  if (!status.isFile()) return yield* packing.output.bytes(packHeader(header));
  yield* packFile(folder, leaf, header, packing);
}

function* packFile(folder: number, leaf: string, header: PackedHeader, { output, counts }: Packing): Generator<Buffer> {
  // Not blocking, should a FIFO have come in its place.
  const fd = openIfThere(folder, leaf, at.O_RDONLY | at.O_NOFOLLOW | at.O_NONBLOCK);
  if (fd === undefined) return;
  try {
    const sizeBytes = Number(fstatSync(fd, { bigint: true }).size);
    yield* output.bytes(packHeader({ ...header, sizeBytes }));
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

function headerOf(name: string, status: BigIntStats, typeFlag: string, path: string | undefined): PackedHeader {
  const isDevice = status.isCharacterDevice() || status.isBlockDevice();
  const capability = path === undefined || status.isSymbolicLink() ? undefined : attributeOf(path, CAPABILITY);
  return {
    ...EMPTY_FILE,
    typeFlag,
    name,
    mode: Number(status.mode) & 0o7777,
    user: Number(status.uid),
    group: Number(status.gid),
    modifiedSeconds: secondsOf(status.mtimeNs),
    ...(isDevice ? at.deviceParts(status.rdev) : {}),
    ...(capability === undefined ? {} : { attributes: new Map([[CAPABILITY, withoutNamespace(capability)]]) }),
  };
}

const CAPABILITY = "security.capability";
const CAPABILITY_REVISION_AT = 3;
const CAPABILITY_2_BYTES = 20;

/** Revision 3 names the root user of the namespace it was set in, which means nothing elsewhere: packed as revision 2, without it. */
function withoutNamespace(capability: Buffer): Buffer {
  if (capability[CAPABILITY_REVISION_AT] !== 3) return capability;
  const plain = Buffer.from(capability.subarray(0, CAPABILITY_2_BYTES));
  plain[CAPABILITY_REVISION_AT] = 2;
  return plain;
}

const NS_PER_SECOND = 1_000_000_000n;

/** Cut towards the past, also before 1970. */
function secondsOf(ns: bigint): number {
  const seconds = ns / NS_PER_SECOND;
  return Number(ns < 0n && ns % NS_PER_SECOND !== 0n ? seconds - 1n : seconds);
}

function typeFlagOf(status: BigIntStats): string {
  if (status.isSymbolicLink()) return "2";
  if (status.isCharacterDevice()) return "3";
  if (status.isBlockDevice()) return "4";
  return status.isFIFO() ? "6" : "0";
}

/** Undefined for what went away meanwhile, or became something else. */
function openIfThere(folder: number, leaf: string, flags: number): number | undefined {
  try {
    return at.openAt(folder, leaf, flags);
  } catch (error) {
    if (["ENOENT", "ENOTDIR", "ELOOP", "ENXIO"].includes(codeOf(error) ?? "")) return undefined;
    throw error;
  }
}

function statusOf(path: string): BigIntStats | undefined {
  return lstatSync(pathOf(path), { bigint: true, throwIfNoEntry: false });
}

/** Node takes names that are not ASCII as UTF-8, unless they are bytes. */
function pathOf(binary: string): string | Buffer {
  return /[\u0080-\u00ff]/.test(binary) ? Buffer.from(binary, "latin1") : binary;
}

/** Gathers what is written into pieces of one size. */
class PieceBuffer {
  readonly #buffer = Buffer.allocUnsafeSlow(BUFFER_BYTES);
  #filled = 0;

  *bytes(bytes: Buffer): Generator<Buffer> {
    for (let rest = bytes; rest.length > 0;) {
      const taken = rest.copy(this.#buffer, this.#filled);
      rest = rest.subarray(taken);
      yield* this.#advance(taken);
    }
  }

  /** So many bytes of a file, zeros for those that it has lost meanwhile. */
  *file(fd: number, sizeBytes: number): Generator<Buffer> {
    for (let left = sizeBytes; left > 0;) {
      const read = readSync(fd, this.#buffer, this.#filled, Math.min(left, BUFFER_BYTES - this.#filled), null);
      if (read === 0) return yield* this.zeros(left);
      left -= read;
      yield* this.#advance(read);
    }
  }

  *zeros(count: number): Generator<Buffer> {
    for (let left = count; left > 0;) {
      const end = Math.min(BUFFER_BYTES, this.#filled + left);
      left -= end - this.#filled;
      this.#buffer.fill(0, this.#filled, end);
      yield* this.#advance(end - this.#filled);
    }
  }

  *rest(): Generator<Buffer> {
    if (this.#filled > 0) yield this.#buffer.subarray(0, this.#filled);
    this.#filled = 0;
  }

  *#advance(bytes: number): Generator<Buffer> {
    this.#filled += bytes;
    if (this.#filled === BUFFER_BYTES) yield* this.rest();
  }
}

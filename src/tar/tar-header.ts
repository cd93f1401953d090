import { EngineError } from "../base/errors.ts";
import type { FileTime } from "../base/time.ts";

/** One 512-byte tar header as it stands; names are binary strings (kernel/openat.ts). */
export interface TarHeader {
  typeFlag: string;
  name: string;
  linkName: string;
  mode: number;
  /** With the bits of the file's type that Docker's archives put there. */
  rawMode: number;
  user: number;
  group: number;
  userName: string;
  groupName: string;
  sizeBytes: number;
  modified: FileTime;
  major: number;
  minor: number;
}

export const BLOCK_BYTES = 512;

/** The kernel takes -1 for "leave it", so the highest id is one less. */
const MAX_ID = 0xffff_fffe;
const CHECKSUM = { start: 148, end: 156 };

/** Parses a header block: V7, ustar or GNU; undefined for a block of zeros. Throws on a wrong checksum or number. */
export function parseTarHeader(block: Buffer): TarHeader | undefined {
  const expected = checksumOf(block);
  if (expected.unsigned === CHECKSUM_OF_ZEROS && block.every((byte) => byte === 0)) return undefined;
  const written = parseNumber(block, CHECKSUM.start, CHECKSUM.end, "checksum");
  if (written !== expected.unsigned && written !== expected.signed) {
    throw new EngineError("invalid", "invalid tar header: its checksum is wrong");
  }
  const isPosix = block.toString("latin1", 257, 263) === "ustar\0";
  const prefix = isPosix ? text(block, 345, 500) : "";
  const name = text(block, 0, 100);
  const rawMode = parseNumber(block, 100, 108, "mode");
  const isV7 = block.toString("latin1", 257, 262) !== "ustar";
  return {
    typeFlag: block.toString("latin1", 156, 157),
    name: prefix === "" ? name : `${prefix}/${name}`,
    linkName: text(block, 157, 257),
    mode: rawMode & 0o7777,
    rawMode,
    user: checkId(parseNumber(block, 108, 116, "uid")),
    group: checkId(parseNumber(block, 116, 124, "gid")),
    userName: isV7 ? "" : text(block, 265, 297),
    groupName: isV7 ? "" : text(block, 297, 329),
    sizeBytes: checkSize(parseNumber(block, 124, 136, "size")),
    modified: { seconds: parseNumber(block, 136, 148, "mtime"), nanoseconds: 0 },
    // Only device entries have to hold numbers here; others may hold anything.
    major: isDevice(block) ? parseNumber(block, 329, 337, "device number") : 0,
    minor: isDevice(block) ? parseNumber(block, 337, 345, "device number") : 0,
  };
}

export function checkId(id: number): number {
  if (id < 0 || id > MAX_ID) throw new EngineError("invalid", `invalid tar header: owner ${id} is out of range`);
  return id;
}

export function checkSize(sizeBytes: number): number {
  if (sizeBytes < 0) throw new EngineError("invalid", `invalid tar header: negative size ${sizeBytes}`);
  return sizeBytes;
}

function isDevice(block: Buffer): boolean {
  return block[156] === 0x33 || block[156] === 0x34;
}

const CHECKSUM_OF_ZEROS = (CHECKSUM.end - CHECKSUM.start) * 0x20;

/** The sum of all bytes with the checksum itself as blanks; some old tars summed signed bytes. */
function checksumOf(block: Buffer): { unsigned: number; signed: number } {
  let unsigned = CHECKSUM_OF_ZEROS;
  let high = 0;
  for (let index = 0; index < BLOCK_BYTES; index += 1) {
    if (index >= CHECKSUM.start && index < CHECKSUM.end) continue;
    // The block always has BLOCK_BYTES bytes.
    const byte = block[index] ?? 0;
    unsigned += byte;
    if (byte > 127) high += 1;
  }
  return { unsigned, signed: unsigned - high * 256 };
}

function text(block: Buffer, start: number, end: number): string {
  const nul = block.indexOf(0, start);
  return block.toString("latin1", start, nul === -1 || nul > end ? end : nul);
}

/** Octal digits between blanks or NULs, or, where the first bit is set, a big-endian two's complement number (GNU base-256). */
export function parseNumber(block: Buffer, start: number, end: number, what: string): number {
  const first = block[start] ?? 0;
  if (first >= 0x80) return parseBase256(block.subarray(start, end), what);
  const digits = block
    .toString("latin1", start, end)
    .replace(/^[ \0]+/, "")
    .replace(/[ \0].*$/s, "");
  if (digits === "") return 0;
  if (!/^[0-7]+$/.test(digits)) throw new EngineError("invalid", `invalid tar header: its ${what} is not a number`);
  return Number.parseInt(digits, 8);
}

function parseBase256(field: Buffer, what: string): number {
  const negative = ((field[0] ?? 0) & 0x40) !== 0;
  let value = negative ? -1n : 0n;
  for (const [index, byte] of field.entries()) {
    // The marker bit is no part of the number: it repeats the sign.
    const part = index === 0 ? (negative ? byte | 0x80 : byte & 0x7f) : byte;
    value = (value << 8n) | BigInt(part);
  }
  if (value > BigInt(Number.MAX_SAFE_INTEGER) || value < BigInt(Number.MIN_SAFE_INTEGER)) {
    throw new EngineError("invalid", `invalid tar header: its ${what} is out of range`);
  }
  return Number(value);
}

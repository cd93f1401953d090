import type { FileTime } from "../base/time.ts";

/**
 * Headers of a layer's tar, byte for byte as dockerd's are, because the diffID is their digest too. That is the form which Go's archive/tar
 * gives a header of FormatPAX: ustar where everything fits, else a PAX record for each thing that does not, and what is left of it in the
 * ustar header. Strings are binary strings (kernel/openat.ts).
 */
export interface PackedHeader {
  typeFlag: string;
  name: string;
  linkName: string;
  mode: number;
  user: number;
  group: number;
  sizeBytes: number;
  /** Whole seconds. */
  modifiedSeconds: FileTime["seconds"];
  major: number;
  minor: number;
  /** Extended attributes, by name. */
  attributes?: ReadonlyMap<string, Buffer>;
}

const BLOCK_BYTES = 512;
const NAME_BYTES = 100;
const PREFIX_BYTES = 155;

/** The blocks of one header, with those of its extended header before it. */
export function packHeader(header: PackedHeader): Buffer {
  const { name, linkName, user, group, sizeBytes, modifiedSeconds, attributes } = header;
  const split = splitName(name);
  const records = new Map<string, string>();
  for (const [key, value] of attributes ?? []) records.set(`SCHILY.xattr.${key}`, value.toString("latin1"));
  let isUstar = records.size === 0;
  const record = (key: string, value: string | number, fitsUstar = false): void => {
    records.set(key, String(value));
    isUstar &&= fitsUstar;
  };
  if (!isAscii(name) || name.length > NAME_BYTES) record("path", name, split !== undefined);
  if (!isAscii(linkName) || linkName.length > NAME_BYTES) record("linkpath", linkName);
  if (!fitsOctal(user, 8)) record("uid", user);
  if (!fitsOctal(group, 8)) record("gid", group);
  if (!fitsOctal(sizeBytes, 12)) record("size", sizeBytes);
  if (!fitsOctal(modifiedSeconds, 12)) record("mtime", modifiedSeconds);
  if (isUstar) return block({ ...header, name: split?.name ?? name }, split?.prefix ?? "");
  const plain = block({ ...header, name: asciiOnly(name), linkName: asciiOnly(linkName) }, "");
  return Buffer.concat([extendedHeader(name, records), plain]);
}

/** What follows a body of so many bytes up to the next block. */
export function paddingAfter(sizeBytes: number): number {
  return (BLOCK_BYTES - (sizeBytes % BLOCK_BYTES)) % BLOCK_BYTES;
}

/** Two blocks of zeros end an archive. */
export const END_BYTES = 2 * BLOCK_BYTES;

function extendedHeader(name: string, records: Map<string, string>): Buffer {
  const body = [...records]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => paxRecord(key, value))
    .join("");
  const at = name.lastIndexOf("/") + 1;
  const shown = asciiOnly(`${name.slice(0, at)}PaxHeaders.0/${name.slice(at)}`);
  const result = Buffer.alloc(BLOCK_BYTES + body.length + paddingAfter(body.length));
  text(result, 0, NAME_BYTES, shown.slice(0, NAME_BYTES).replace(/\/+$/, ""));
  octal(result, 100, 8, 0);
  octal(result, 108, 8, 0);
  octal(result, 116, 8, 0);
  octal(result, 124, 12, body.length);
  octal(result, 136, 12, 0);
  result.write("x", 156, "latin1");
  seal(result);
  result.write(body, BLOCK_BYTES, "latin1");
  return result;
}

function paxRecord(key: string, value: string): string {
  const bare = key.length + value.length + 3;
  const size = bare + String(bare).length;
  const whole = `${size} ${key}=${value}\n`;
  // The number of digits may itself add one.
  return whole.length === size ? whole : `${whole.length} ${key}=${value}\n`;
}

function block(header: PackedHeader, prefix: string): Buffer {
  const result = Buffer.alloc(BLOCK_BYTES);
  text(result, 0, NAME_BYTES, header.name);
  octal(result, 100, 8, header.mode);
  octal(result, 108, 8, header.user);
  octal(result, 116, 8, header.group);
  octal(result, 124, 12, header.sizeBytes);
  octal(result, 136, 12, header.modifiedSeconds);
  result.write(header.typeFlag, 156, "latin1");
  text(result, 157, NAME_BYTES, header.linkName);
  octal(result, 329, 8, header.major);
  octal(result, 337, 8, header.minor);
  text(result, 345, PREFIX_BYTES, prefix);
  seal(result);
  return result;
}

/** Writes magic and checksum. */
function seal(header: Buffer): void {
  header.write("ustar\u000000", 257, "latin1");
  header.fill(0x20, 148, 156);
  let sum = 0;
  for (let index = 0; index < BLOCK_BYTES; index += 1) sum += header[index] ?? 0;
  octal(header, 148, 7, sum);
}

function text(header: Buffer, start: number, size: number, value: string): void {
  // A cut name that ends in a slash would pass for a folder's.
  const isCutAtSlash = value.length > size && value[size - 1] === "/";
  header.write(isCutAtSlash ? value.slice(0, size - 1).replace(/\/+$/, "") : value.slice(0, size), start, "latin1");
}

/** A number that does not fit is in the extended header, and 0 here. */
function octal(header: Buffer, start: number, size: number, value: number): void {
  const digits = (fitsOctal(value, size) ? value : 0).toString(8).padStart(size - 1, "0");
  header.write(`${digits}\0`, start, "latin1");
}

function fitsOctal(value: number, fieldBytes: number): boolean {
  return value >= 0 && value < 8 ** (fieldBytes - 1);
}

/** A long name in two parts, as ustar has it; undefined when it needs none or cannot be parted. */
function splitName(name: string): { prefix: string; name: string } | undefined {
  if (name.length <= NAME_BYTES || !isAscii(name)) return undefined;
  const end = name.length > PREFIX_BYTES + 1 ? PREFIX_BYTES + 1 : name.endsWith("/") ? name.length - 1 : name.length;
  const slash = name.slice(0, end).lastIndexOf("/");
  const rest = name.slice(slash + 1);
  return slash <= 0 || rest === "" || rest.length > NAME_BYTES ? undefined : { prefix: name.slice(0, slash), name: rest };
}

// oxlint-disable-next-line no-control-regex -- it is about control characters
const ASCII = /^[\x01-\x7f]*$/;

function isAscii(value: string): boolean {
  return ASCII.test(value);
}

function asciiOnly(value: string): string {
  // oxlint-disable-next-line no-control-regex -- as above
  return isAscii(value) ? value : value.replaceAll(/[^\x01-\x7f]/g, "");
}

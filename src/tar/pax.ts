import { EngineError } from "../base/errors.ts";
import type { FileTime } from "../base/time.ts";
import type { PaxSparse } from "./sparse.ts";
import { checkId, checkSize, type TarHeader } from "./tar-header.ts";

/** PAX extended headers (POSIX.1-2001): `LENGTH KEY=VALUE\n` records that override what the next header says. */
export type PaxRecords = Map<string, Buffer>;

const XATTR_PREFIX = "SCHILY.xattr.";
const SPARSE_MAP = "GNU.sparse.map";

export function parsePaxRecords(body: Buffer): PaxRecords {
  const records: PaxRecords = new Map();
  for (let at = 0; at < body.length;) {
    const blank = body.indexOf(0x20, at);
    const digits = blank === -1 ? "" : body.toString("latin1", at, blank);
    const end = at + Number(digits);
    const equals = body.indexOf(0x3d, blank);
    if (!/^[1-9]\d{0,9}$/.test(digits) || end > body.length || body[end - 1] !== 0x0a || equals === -1 || equals >= end) {
      throw new EngineError("invalid", "invalid tar header: a PAX record has a wrong length");
    }
    addRecord(records, body.toString("latin1", blank + 1, equals), Buffer.from(body.subarray(equals + 1, end - 1)));
    at = end;
  }
  return records;
}

/** A later record overrides an earlier one, but GNU tar's first sparse format (0.0) says its map in many of the same name. */
function addRecord(records: PaxRecords, key: string, value: Buffer): void {
  if (key !== "GNU.sparse.offset" && key !== "GNU.sparse.numbytes") return void records.set(key, value);
  const before = records.get(SPARSE_MAP);
  records.set(SPARSE_MAP, before === undefined ? value : Buffer.concat([before, Buffer.from(","), value]));
}

export interface AppliedPax {
  header: TarHeader;
  attributes: Map<string, Buffer>;
  sparse: PaxSparse | undefined;
}

/** The header with its PAX records applied, and what else they hold. An empty value leaves the header's own. */
export function applyPaxRecords(header: TarHeader, records: PaxRecords): AppliedPax {
  const result = { ...header };
  const attributes = new Map<string, Buffer>();
  for (const [key, value] of records) {
    if (key.startsWith(XATTR_PREFIX)) attributes.set(key.slice(XATTR_PREFIX.length), value);
    else if (value.length > 0) applyRecord(result, key, value.toString("latin1"));
  }
  const sparse = sparseOf(records);
  if (sparse?.name !== undefined) result.name = withoutNul(sparse.name);
  return { header: result, attributes, sparse };
}

function sparseOf(records: PaxRecords): PaxSparse | undefined {
  const text = (key: string): string | undefined => records.get(key)?.toString("latin1");
  const size = text("GNU.sparse.realsize") ?? text("GNU.sparse.size");
  if (size === undefined) return undefined;
  const map = text("GNU.sparse.major") === "1" ? undefined : (text(SPARSE_MAP) ?? "");
  return { name: text("GNU.sparse.name"), realSizeBytes: checkSize(integer("GNU.sparse.realsize", size)), map };
}

function applyRecord(header: TarHeader, key: string, value: string): void {
  switch (key) {
    case "path":
      header.name = withoutNul(value);
      break;
    case "linkpath":
      header.linkName = withoutNul(value);
      break;
    case "size":
      header.sizeBytes = checkSize(integer(key, value));
      break;
    case "uid":
      header.user = checkId(integer(key, value));
      break;
    case "gid":
      header.group = checkId(integer(key, value));
      break;
    case "uname":
      header.userName = withoutNul(value);
      break;
    case "gname":
      header.groupName = withoutNul(value);
      break;
    case "mtime":
      header.modified = parseTime(value);
      break;
    default:
    // Times of access and change and comments do not reach a layer.
  }
}

function withoutNul(name: string): string {
  if (name.includes("\0")) throw new EngineError("invalid", "invalid tar header: a name contains a NUL byte");
  return name;
}

function integer(key: string, value: string): number {
  const number = Number(value);
  if (!/^-?\d+$/.test(value) || !Number.isSafeInteger(number)) {
    throw new EngineError("invalid", `invalid tar header: the PAX record ${key} is not a number in range`);
  }
  return number;
}

/** Decimal seconds, `-` and a fraction allowed; what is finer than a nanosecond is cut off. */
function parseTime(value: string): FileTime {
  const match = /^(-?)(\d{1,15})(?:\.(\d*))?$/.exec(value);
  if (match === null) throw new EngineError("invalid", "invalid tar header: the PAX record mtime is not a time");
  const seconds = Number(match[2]);
  const nanoseconds = Number((match[3] ?? "").padEnd(9, "0").slice(0, 9));
  if (match[1] === "") return { seconds, nanoseconds };
  return nanoseconds === 0 ? { seconds: -seconds, nanoseconds: 0 } : { seconds: -seconds - 1, nanoseconds: 1_000_000_000 - nanoseconds };
}

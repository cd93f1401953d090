import { EngineError } from "../../base/errors.ts";
import type { FileTime } from "../../kernel/openat.ts";
import { checkId, checkSize, type TarHeader } from "./tar-header.ts";

/** PAX extended headers (POSIX.1-2001): `LENGTH KEY=VALUE\n` records that override what the next header says. */
export type PaxRecords = Map<string, Buffer>;

const XATTR_PREFIX = "SCHILY.xattr.";
const SPARSE_PREFIX = "GNU.sparse.";

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
    records.set(body.toString("latin1", blank + 1, equals), Buffer.from(body.subarray(equals + 1, end - 1)));
    at = end;
  }
  return records;
}

/** The header with its PAX records applied, and the extended attributes they hold. An empty value leaves the header's own. */
export function applyPaxRecords(header: TarHeader, records: PaxRecords): { header: TarHeader; attributes: Map<string, Buffer> } {
  const result = { ...header };
  const attributes = new Map<string, Buffer>();
  for (const [key, value] of records) {
    if (key.startsWith(XATTR_PREFIX)) attributes.set(key.slice(XATTR_PREFIX.length), value);
    else if (key.startsWith(SPARSE_PREFIX)) throw sparseError(header.name);
    else if (value.length > 0) applyRecord(result, key, value.toString("latin1"));
  }
  return { header: result, attributes };
}

export function sparseError(name: string): EngineError {
  return new EngineError(
    "invalid",
    `"${name}" is stored as a sparse file, which image layers cannot hold: make the archive without --sparse`,
  );
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
    case "mtime":
      header.modified = parseTime(value);
      break;
    default:
    // Times of access and change, user names and comments do not reach a layer.
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

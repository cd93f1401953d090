import { isUtf8 } from "node:buffer";
import type { OutputStream } from "./frames.ts";

/**
 * A container's output as records of Docker's json-file format: `{"log":"text\n","stream":"stdout","time":"…"}`, one a line.
 *
 * A line of more than 16 KiB becomes several records of which only the last has the newline; readers join them. Bytes that are not UTF-8
 * become U+FFFD, one for each byte, as Go's encoder does. Docker cuts a long line at exactly 16 KiB, in the middle of a character if need
 * be, and so spoils it; we cut before the character.
 *
 * Speed: all work is done on strings with one byte a character ("latin1"), whole blocks of lines at a time.
 */
export const RECORD_LIMIT_BYTES = 16 * 1024;

const NEWLINE = 0x0a;
/** What Go's encoder with HTML escaping replaces; \xff stands for a byte that is not UTF-8, which never is \xff otherwise. */
const NEEDS_ESCAPE = /["\\<>&\x00-\x09\x0b-\x1f\xff]|\xe2\x80[\xa8\xa9]/;
const NEEDS_ESCAPE_ALL = new RegExp(NEEDS_ESCAPE, "g");
const INVALID_BYTE = 0xff;

/** How many bytes at the beginning of `pending` are ready to become records: whole lines, and full pieces of a line too long. */
export function recordableBytes(pending: Buffer): number {
  let ready = pending.lastIndexOf(NEWLINE) + 1;
  while (pending.length - ready >= RECORD_LIMIT_BYTES) ready = cutBefore(pending, ready);
  return ready;
}

/**
 * Encodes output as records, in a string with one byte a character. `tail` comes from `recordTail`. The last line may lack its newline.
 */
export function encodeRecords(bytes: Buffer, tail: string): string {
  const clean = isUtf8(bytes) ? bytes : markInvalid(bytes);
  let encoded = "";
  let start = 0;
  for (const piece of longPieces(clean)) {
    if (piece.start > start) encoded += encodeBlock(clean.toString("latin1", start, piece.start), tail);
    encoded += encodeBlock(clean.toString("latin1", piece.start, piece.end), tail);
    start = piece.end;
  }
  return start < clean.length ? encoded + encodeBlock(clean.toString("latin1", start), tail) : encoded;
}

/** What follows the text in a record, with one byte a character. `attributes` is a JSON object or empty. */
export function recordTail(stream: OutputStream, attributes: string, time: string): string {
  const middle = attributes === "" ? "" : `,"attrs":${Buffer.from(attributes).toString("latin1")}`;
  return `,"stream":"${stream}"${middle},"time":"${time}"}\n`;
}

function encodeBlock(text: string, tail: string): string {
  const escaped = NEEDS_ESCAPE.test(text) ? text.replace(NEEDS_ESCAPE_ALL, escapeOne) : text;
  const ends = escaped.endsWith("\n");
  const body = ends ? escaped.slice(0, -1) : escaped;
  const between = `\\n"${tail}{"log":"`.replaceAll("$", "$$$$");
  return `{"log":"${body.replaceAll("\n", between)}${ends ? "\\n" : ""}"${tail}`;
}

function escapeOne(found: string): string {
  if (found === '"') return String.raw`\"`;
  if (found === "\\") return "\\\\";
  if (found === "\r") return String.raw`\r`;
  if (found === "\t") return String.raw`\t`;
  if (found.length === 3) return found.endsWith("\xa8") ? String.raw`\u2028` : String.raw`\u2029`;
  const code = found.codePointAt(0) ?? 0;
  return code === INVALID_BYTE ? String.raw`\ufffd` : `\\u${code.toString(16).padStart(4, "0")}`;
}

/** The pieces of lines too long for one record, all but each line's last. */
function* longPieces(bytes: Buffer): Generator<{ start: number; end: number }> {
  let start = 0;
  while (bytes.length - start > RECORD_LIMIT_BYTES) {
    const lastBreak = bytes.subarray(start, start + RECORD_LIMIT_BYTES).lastIndexOf(NEWLINE);
    if (lastBreak >= 0) {
      start += lastBreak + 1;
      continue;
    }
    const end = cutBefore(bytes, start);
    yield { start, end };
    start = end;
  }
}

/** The end of the full piece that begins at `start`, moved before a character it would split. */
function cutBefore(bytes: Buffer, start: number): number {
  const full = start + RECORD_LIMIT_BYTES;
  for (let back = 1; back < 4; back += 1) {
    const byte = bytes[full - back] ?? 0;
    if ((byte & 0xc0) !== 0x80) return sequenceLength(byte) > back ? full - back : full;
  }
  return full;
}

/** A copy in which every byte that is not part of a valid UTF-8 character is \xff. */
function markInvalid(bytes: Buffer): Buffer {
  const marked = Buffer.from(bytes);
  for (let at = 0; at < bytes.length;) {
    const length = characterLength(bytes, at);
    if (length === 0) marked[at] = INVALID_BYTE;
    at += Math.max(length, 1);
  }
  return marked;
}

/** The length of the valid UTF-8 character at `at`; 0 when there is none. */
function characterLength(bytes: Buffer, at: number): number {
  const first = bytes[at] ?? 0;
  if (first < 0x80) return 1;
  const length = sequenceLength(first);
  if (length === 1 || at + length > bytes.length) return 0;
  return isUtf8(bytes.subarray(at, at + length)) ? length : 0;
}

/** The length that a character's first byte announces; 1 for what begins no longer one. */
function sequenceLength(first: number): number {
  if (first < 0xc2 || first > 0xf4) return 1;
  if (first < 0xe0) return 2;
  return first < 0xf0 ? 3 : 4;
}

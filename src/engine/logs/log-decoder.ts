import { formatTime, parseTimestamp } from "../../base/time.ts";
import { newRecordPlaces, readRecord, RECORD_START, TIME_SECONDS_LENGTH } from "./json-record.ts";

/**
 * Turns the bytes of a json-file log into what a client reads: Docker's frames (stream, three zero bytes, length, text), or bare text on
 * a terminal. It is given the file in blocks of any size and keeps what is left of a record until the next.
 *
 * A record of Docker's holds at most 16 KiB of text; only the last one of a longer line ends in a newline. Time and details stand at the
 * beginning of a line, never in its middle (Docker repeats them every 16 KiB).
 *
 * A damaged record (half written when the disk was full, zeros after a crash) does not end the log, as it does in Docker (moby #53631): it
 * is skipped up to the next one that can be read, and one line on stderr says how much is missing.
 */
export interface DecoderOptions {
  tty: boolean;
  stdout: boolean;
  stderr: boolean;
  timestamps: boolean;
  details: boolean;
  /** Neighbours of one stream go into one frame: for clients that take the stream as bytes, a quarter of the work. */
  mergeFrames: boolean;
  /** As `formatLogTime` writes them. */
  since: string | undefined;
  until: string | undefined;
}

/** Longer without a newline is no record. Docker's own are at most 16 KiB of text, six bytes a character at worst, and attributes. */
const MAX_RECORD_BYTES = 1024 * 1024;
/** Go's demultiplexer begins with a buffer for frames of this size. */
const MAX_MERGED_BYTES = 32 * 1024;
const HEADER_BYTES = 8;
/** `2006-01-02T15:04:05.000000000Z ` */
const TIMESTAMP_BYTES = 31;
/** Room that a record may need beyond its own length: a note of damage before it. */
const SPARE_BYTES = 256;
/** The time of the first record is a byte string like these: digits and letters compare as times do. */
const DOT = 0x2e;
const ZERO = 0x30;
const NEWLINE = 0x0a;
const STDERR = 2;

export class LogDecoder {
  readonly #options: DecoderOptions;
  readonly #since: Uint8Array | undefined;
  readonly #until: Uint8Array | undefined;
  readonly #growth: number;
  readonly #places = newRecordPlaces();
  /** By stream number: the next text begins a line. */
  readonly #atLineStart = [true, true, true];
  #rest: Buffer = Buffer.alloc(0);
  #out: Buffer = Buffer.alloc(0);
  #at = 0;
  /** Where the header of the frame that may still grow stands, or -1; and whose it is. */
  #frameAt = -1;
  #stream = 1;
  #skipping = false;
  #damagedBytes = 0;
  #skipLines = 0;
  #done = false;

  constructor(options: DecoderOptions) {
    this.#options = options;
    this.#growth = options.details ? 3 : 1;
    this.#since = options.since === undefined ? undefined : Buffer.from(options.since);
    this.#until = options.until === undefined ? undefined : Buffer.from(options.until);
  }

  /** True once a record later than `until` was seen: there is nothing more to read. */
  get isDone(): boolean {
    return this.#done;
  }

  /** Leaves out the first lines of what comes. */
  skipLines(count: number): void {
    this.#skipLines = count;
  }

  /** The output for the next block of the file, often empty. The block may be used again afterwards, the output may not. */
  push(block: Buffer): Uint8Array {
    // Only details can make a text longer than its record: each of their bytes becomes up to three.
    this.#beginOutput((this.#rest.length + block.length) * this.#growth + SPARE_BYTES);
    const rest = this.#rest;
    this.#rest = Buffer.alloc(0);
    // The record that was cut by the end of the last block goes first, so that the whole block need not be copied behind it.
    const head = rest.length === 0 ? 0 : block.indexOf(NEWLINE) + 1 || block.length;
    if (head > 0) this.#takeAll(Buffer.concat([rest, block.subarray(0, head)]));
    if (head < block.length)
      this.#takeAll(this.#rest.length === 0 ? block.subarray(head) : Buffer.concat([this.#rest, block.subarray(head)]));
    this.#closeFrame();
    return this.#out.subarray(0, this.#at);
  }

  /** The file has ended. What is left of a record is damage when nothing more comes (`isComplete`), else the beginning of the next. */
  endFile(isComplete: boolean): Uint8Array {
    if (isComplete) {
      this.#damagedBytes += this.#rest.length;
      this.#rest = Buffer.alloc(0);
      this.#skipping = false;
    }
    this.#beginOutput(SPARE_BYTES);
    if (this.#rest.length === 0) this.#reportDamage();
    return this.#out.subarray(0, this.#at);
  }

  /** A line of our own, on stderr. */
  note(text: string): Uint8Array {
    this.#beginOutput(SPARE_BYTES);
    this.#writeNote(text);
    return this.#out.subarray(0, this.#at);
  }

  /** Takes records while there are some; what is left over becomes the rest. */
  #takeAll(bytes: Buffer): void {
    let from = 0;
    while (from < bytes.length && !this.#done) {
      this.#ensureRoom((bytes.length - from) * this.#growth + SPARE_BYTES);
      const next = this.#skipping ? this.#skipDamaged(bytes, from) : this.#take(bytes, from);
      if (next < 0) break;
      from = next;
    }
    this.#rest = this.#done ? Buffer.alloc(0) : Buffer.from(bytes.subarray(from));
  }

  /** One record: where the next begins, or -1 when there is not enough of it yet. */
  #take(bytes: Buffer, from: number): number {
    const textAt = this.#at + this.#prefixBytes(this.#stream);
    const result = readRecord(bytes, from, this.#out, textAt, this.#places);
    if (result === "record") {
      this.#emit(bytes, textAt);
      return this.#places.next;
    }
    if (result === "incomplete" && bytes.length - from <= MAX_RECORD_BYTES) return -1;
    return this.#takeOdd(bytes, from);
  }

  /** What is no record of the usual shape: JSON of another shape, a record with rubbish before it, or rubbish. */
  #takeOdd(bytes: Buffer, from: number): number {
    const newline = bytes.indexOf(NEWLINE, from);
    if (newline < 0) {
      if (bytes.length - from <= MAX_RECORD_BYTES) return -1;
      this.#skipping = true;
      return from;
    }
    const line = bytes.subarray(from, newline + 1);
    const canonical = rewriteRecord(line);
    if (canonical !== undefined) {
      this.#ensureRoom(canonical.length + SPARE_BYTES);
      const textAt = this.#at + this.#prefixBytes(this.#stream);
      if (readRecord(canonical, 0, this.#out, textAt, this.#places) === "record") {
        this.#emit(canonical, textAt);
        return newline + 1;
      }
    }
    const restart = line.indexOf(RECORD_START, 1);
    this.#damagedBytes += restart < 0 ? line.length : restart;
    return restart < 0 ? newline + 1 : from + restart;
  }

  /** In the midst of something without end: on to the next line. */
  #skipDamaged(bytes: Uint8Array, from: number): number {
    const newline = bytes.indexOf(NEWLINE, from);
    const next = newline < 0 ? bytes.length : newline + 1;
    this.#damagedBytes += next - from;
    this.#skipping = newline < 0;
    return next;
  }

  /** The text stands at `textAt`; what goes before it is written, and the text moved where the guess of its place was wrong. */
  #emit(bytes: Buffer, textAt: number): void {
    const { stream, textEnd, timeStart, timeEnd } = this.#places;
    if (this.#until !== undefined && compareTimes(bytes, timeStart, timeEnd, this.#until) > 0) {
      this.#done = true;
      return;
    }
    const endsLine = textEnd > textAt && this.#out[textEnd - 1] === NEWLINE;
    if (this.#skipLines > 0) {
      if (endsLine) this.#skipLines -= 1;
      this.#damagedBytes = 0;
      return;
    }
    const isEarly = this.#since !== undefined && compareTimes(bytes, timeStart, timeEnd, this.#since) < 0;
    if (isEarly || !(stream === STDERR ? this.#options.stderr : this.#options.stdout)) {
      if (isEarly) this.#damagedBytes = 0;
      return;
    }
    let from = textAt;
    let end = textEnd;
    if (this.#damagedBytes > 0) {
      // The note takes this place: put the text behind it first.
      from = textAt + SPARE_BYTES / 2;
      end = textEnd + from - textAt;
      this.#ensureRoom(end - this.#at);
      this.#out.copyWithin(from, textAt, textEnd);
      this.#reportDamage();
    }
    const isLineStart = this.#atLineStart[stream] === true;
    const details = this.#options.details && isLineStart ? this.#details(bytes) : undefined;
    const target = this.#at + this.#prefixBytes(stream) + (details?.length ?? 0);
    if (target !== from) this.#out.copyWithin(target, from, end);
    this.#beginFrame(stream);
    if (this.#options.timestamps && isLineStart) this.#writeTimestamp(bytes);
    if (details !== undefined) {
      this.#out.set(details, this.#at);
      this.#at += details.length;
    }
    this.#at = target + end - from;
    this.#atLineStart[stream] = endsLine;
    if (!this.#options.mergeFrames) this.#closeFrame();
  }

  /** How much stands before a text of this stream, details apart. */
  #prefixBytes(stream: number): number {
    const timestamp = this.#options.timestamps && this.#atLineStart[stream] === true ? TIMESTAMP_BYTES : 0;
    return timestamp + (this.#options.tty || this.#canGrow(stream) ? 0 : HEADER_BYTES);
  }

  #canGrow(stream: number): boolean {
    return this.#frameAt >= 0 && this.#stream === stream && this.#at - this.#frameAt < MAX_MERGED_BYTES;
  }

  #beginFrame(stream: number): void {
    if (this.#options.tty || this.#canGrow(stream)) return;
    this.#closeFrame();
    this.#frameAt = this.#at;
    this.#stream = stream;
    this.#at += HEADER_BYTES;
  }

  #closeFrame(): void {
    if (this.#frameAt < 0) return;
    const out = this.#out;
    const at = this.#frameAt;
    const length = this.#at - at - HEADER_BYTES;
    out[at] = this.#stream;
    out[at + 1] = 0;
    out[at + 2] = 0;
    out[at + 3] = 0;
    out[at + 4] = length >>> 24;
    out[at + 5] = length >>> 16;
    out[at + 6] = length >>> 8;
    out[at + 7] = length;
    this.#frameAt = -1;
  }

  /** Nine digits, always: Docker's jsonmessage.RFC3339NanoFixed. */
  #writeTimestamp(bytes: Uint8Array): void {
    const { timeStart, timeEnd } = this.#places;
    const out = this.#out;
    const at = this.#at;
    for (let index = 0; index < TIMESTAMP_BYTES - 2; index += 1) {
      const byte = bytes[timeStart + index] as number;
      out[at + index] = timeStart + index < timeEnd - 1 ? byte : index === TIME_SECONDS_LENGTH ? DOT : ZERO;
    }
    out[at + TIMESTAMP_BYTES - 2] = 0x5a;
    out[at + TIMESTAMP_BYTES - 1] = 0x20;
    this.#at = at + TIMESTAMP_BYTES;
  }

  /** `a=1,b=2 `, sorted, escaped as in a URL's query; a blank alone when there are none. */
  #details(bytes: Buffer): Buffer {
    const { attrsStart, attrsEnd } = this.#places;
    if (attrsEnd === 0) return Buffer.from(" ");
    return Buffer.from(`${formatDetails(bytes.toString("utf8", attrsStart, attrsEnd))} `);
  }

  #reportDamage(): void {
    if (this.#damagedBytes === 0) return;
    const damagedBytes = this.#damagedBytes;
    this.#damagedBytes = 0;
    this.#writeNote(`${damagedBytes} bytes of the log are damaged and left out here`);
  }

  #writeNote(text: string): void {
    this.#closeFrame();
    if (!this.#options.tty) {
      this.#frameAt = this.#at;
      this.#stream = STDERR;
      this.#at += HEADER_BYTES;
    }
    this.#at += this.#out.write(`tsubo: ${text}\n`, this.#at);
    this.#closeFrame();
  }

  /** Takes the last buffer again when nothing of it was handed out. */
  #beginOutput(sizeBytes: number): void {
    if (this.#at > 0 || this.#out.length < sizeBytes) this.#out = Buffer.allocUnsafeSlow(sizeBytes);
    this.#at = 0;
    this.#frameAt = -1;
  }

  #ensureRoom(sizeBytes: number): void {
    if (this.#out.length - this.#at >= sizeBytes) return;
    const larger = Buffer.allocUnsafeSlow((this.#at + sizeBytes) * 2);
    this.#out.copy(larger);
    this.#out = larger;
  }
}

/** Compares the time at `start` with one of nine digits; digits that are missing are zeros. */
function compareTimes(bytes: Uint8Array, start: number, end: number, limit: Uint8Array): number {
  for (let index = 0; index < TIMESTAMP_BYTES - 2; index += 1) {
    const at = start + index;
    const byte = at < end - 1 ? (bytes[at] as number) : index === TIME_SECONDS_LENGTH ? DOT : ZERO;
    const difference = byte - (limit[index] as number);
    if (difference !== 0) return difference;
  }
  return 0;
}

/** A record that is good JSON, but not as we and Docker write it; undefined when it is no record at all. */
function rewriteRecord(line: Buffer): Buffer | undefined {
  let record: unknown;
  try {
    record = JSON.parse(line.toString());
  } catch {
    return undefined;
  }
  if (typeof record !== "object" || record === null) return undefined;
  // Of an object every member may be asked for; each is checked below.
  const { log, stream, time, attrs } = record as Record<string, unknown>;
  const timeNs = typeof time === "string" ? parseTimestamp(time) : undefined;
  if (typeof log !== "string" || (stream !== "stdout" && stream !== "stderr") || timeNs === undefined) return undefined;
  const attributes = typeof attrs === "object" && attrs !== null ? `,"attrs":${JSON.stringify(attrs)}` : "";
  return Buffer.from(`{"log":${JSON.stringify(log)},"stream":"${stream}"${attributes},"time":"${formatTime(timeNs)}"}\n`);
}

/** Attributes as `logs --details` shows them; empty when they cannot be read. */
export function formatDetails(json: string): string {
  let attributes: unknown;
  try {
    attributes = JSON.parse(json);
  } catch {
    return "";
  }
  if (typeof attributes !== "object" || attributes === null) return "";
  return Object.entries(attributes)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => `${escapeQuery(key)}=${escapeQuery(String(value))}`)
    .join(",");
}

/** Go's url.QueryEscape. */
function escapeQuery(text: string): string {
  return encodeURIComponent(text.toWellFormed())
    .replaceAll("%20", "+")
    .replaceAll(/[!'()*]/g, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`);
}

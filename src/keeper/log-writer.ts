import { closeSync, fstatSync, ftruncateSync, openSync, readSync, write } from "node:fs";
import { codeOf, messageOf } from "../base/errors.ts";
import { failpoint } from "../base/failpoint.ts";
import type { Log } from "../base/log.ts";
import { formatTime, nowNs } from "../base/time.ts";
import { BufferPool } from "./buffers.ts";
import type { OutputStream } from "./frames.ts";
import type { Compress } from "./log-compress.ts";
import { countRecords, encodeRecords, endOfRecords, recordTail } from "./log-lines.ts";
import { checksumOf, LogMark, type UnfinishedWrite } from "./log-mark.ts";
import { type JsonFile, LOG_MODE, openRotatedFiles, type RotatedFiles } from "./log-rotation.ts";

const NEWLINE = 0x0a;
/** Room for what one turn of output grows to in the log, but for very short lines. */
const ROOM_BYTES = 256 * 1024;
const ROOMS = 4;
const NOTE_BYTES = 512;
const room = new BufferPool(ROOM_BYTES, ROOMS);
/** How far back from its end a log is searched for the end of its last whole record. */
const TORN_LIMIT_BYTES = 1024 * 1024;

/** The pipe that output comes from. */
export interface Origin {
  /** How much of the output, at its beginning, was taken from the pipe before. */
  carriedBytes: number;
  /** What is to be taken from the head of the pipe. */
  bytes: Buffer;
  take: (sizeBytes: number) => void;
}

/**
 * Writes a container's output to its json-file log, and rotates it as Docker does: a file is full with the record that reaches
 * `maxSizeBytes`; then it joins the rotated files (log-rotation.ts), or is emptied when there may be only one.
 *
 * A disk that refuses does not hold the container up: what cannot be written is dropped, counted, and told in the log once it can be
 * written again. The file never keeps part of a record.
 */
export class LogWriter {
  readonly #destination: JsonFile;
  readonly #attributes: string;
  readonly #log: Log;
  readonly #mark: LogMark;
  readonly #rotated: RotatedFiles | undefined;
  #unconfirmed: UnfinishedWrite | undefined;
  #descriptor: number;
  #inode: number;
  #sizeBytes: number;
  #tail: Promise<void> = Promise.resolve();
  #lost: { bytes: number; reason: string } | undefined;
  #closed = false;

  /** `markFile`: where the write under way is marked (log-mark.ts). */
  constructor(destination: JsonFile, markFile: string, log: Log, compress: Compress) {
    this.#destination = destination;
    this.#log = log;
    const { attrs } = destination;
    this.#attributes = attrs === undefined || Object.keys(attrs).length === 0 ? "" : JSON.stringify(attrs);
    this.#mark = new LogMark(markFile);
    this.#descriptor = openSync(destination.path, "a+", LOG_MODE);
    const { ino, size } = fstatSync(this.#descriptor);
    this.#inode = ino;
    this.#sizeBytes = size;
    this.#mend();
    if (destination.maxSizeBytes !== undefined && destination.maxFiles > 1) this.#rotated = openRotatedFiles(destination, log, compress);
    this.#rotated?.compress();
  }

  /** The last write of an earlier keeper, of which only the pipe can tell whether it was also taken from there. */
  get unconfirmed(): UnfinishedWrite | undefined {
    return this.#unconfirmed;
  }

  /**
   * Writes output as records; resolves when it is in the file (or lost, with a note). `bytes` must stay as they are until then. `origin`: what
   * of it is still in a pipe, and how to take it from there once it is in the file.
   */
  write(stream: OutputStream, bytes: Buffer, origin?: Origin): Promise<void> {
    const { buffer, sizeBytes } = encodeRecords(bytes, this.#recordTail(stream), room.take());
    this.#tail = this.#tail.then(async () => {
      if (this.#lost !== undefined) await this.#tellLoss(this.#lost);
      await this.#writeRecords(stream, buffer.subarray(0, sizeBytes), bytes, origin);
      room.give(buffer);
      this.#rotated?.compress();
    });
    return this.#tail;
  }

  /** Waits for what is being written, then lets go of the file. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#tail;
    closeSync(this.#descriptor);
    this.#mark.close();
  }

  /** Takes back what an earlier keeper has written only in part: it is in the container's pipe still. */
  #mend(): void {
    const unfinished = this.#mark.unfinished();
    if (unfinished?.inode === this.#inode && this.#sizeBytes >= unfinished.sizeBytes) {
      if (this.#sizeBytes >= unfinished.sizeBytes + unfinished.recordsBytes) {
        this.#unconfirmed = unfinished;
      } else {
        ftruncateSync(this.#descriptor, unfinished.sizeBytes);
        this.#sizeBytes = unfinished.sizeBytes;
      }
    }
    this.#sizeBytes = dropTornRecord(this.#descriptor, this.#sizeBytes);
  }

  /** File by file, so that the mark of a write is always about one file, and none is under way while names change. */
  async #writeRecords(stream: OutputStream, records: Buffer, output: Buffer, origin: Origin | undefined): Promise<void> {
    let begin = 0;
    for (let rest = records; rest.length > 0;) {
      if (this.#isFull) await this.#rotate();
      const part = rest.subarray(0, this.#roomFor(rest));
      rest = rest.subarray(part.length);
      const end = rest.length === 0 ? output.length : endOfRecords(output, begin, countRecords(part));
      if (origin === undefined) await this.#append(part, end - begin);
      else await this.#appendFrom(pipePart(origin, begin, rest.length === 0 ? Infinity : end), origin, stream, part, end - begin);
      begin = end;
    }
  }

  async #appendFrom(piped: Buffer, origin: Origin, stream: OutputStream, records: Buffer, outputBytes: number): Promise<void> {
    this.#mark.begin({
      stream,
      inode: this.#inode,
      sizeBytes: this.#sizeBytes,
      recordsBytes: records.length,
      takenBytes: piped.length,
      checksum: checksumOf(piped),
    });
    await this.#append(records, outputBytes);
    origin.take(piped.length);
    this.#mark.end();
  }

  get #isFull(): boolean {
    const { maxSizeBytes } = this.#destination;
    return maxSizeBytes !== undefined && this.#sizeBytes >= maxSizeBytes;
  }

  /** How much of these records goes into the file: up to the one that reaches its size. */
  #roomFor(records: Buffer): number {
    const { maxSizeBytes } = this.#destination;
    // Fuller than full: it could not be rotated.
    if (maxSizeBytes === undefined || this.#isFull || this.#sizeBytes + records.length <= maxSizeBytes) return records.length;
    return records.indexOf(NEWLINE, maxSizeBytes - this.#sizeBytes - 1) + 1;
  }

  /** Appends records, or counts them as lost. */
  async #append(records: Buffer, outputBytes: number): Promise<void> {
    try {
      await this.#appendWhole(records);
    } catch (error) {
      if (this.#lost === undefined) this.#log.warn({ file: this.#destination.path, error: messageOf(error) }, "output is not logged");
      this.#lost = { bytes: (this.#lost?.bytes ?? 0) + outputBytes, reason: codeOf(error) ?? messageOf(error) };
    }
  }

  async #tellLoss(lost: { bytes: number; reason: string }): Promise<void> {
    try {
      await this.#appendWhole(this.#noteOfLoss(lost));
      this.#lost = undefined;
    } catch {
      // The disk refuses still.
    }
  }

  /** Appends all bytes or none. */
  async #appendWhole(bytes: Buffer): Promise<void> {
    try {
      for (let done = 0; done < bytes.length;) done += await writeOnce(this.#descriptor, bytes, done);
    } catch (error) {
      ftruncateSync(this.#descriptor, this.#sizeBytes);
      throw error;
    }
    this.#sizeBytes += bytes.length;
  }

  /** A log that cannot be rotated is written on: a file too large is better than output lost. */
  async #rotate(): Promise<void> {
    try {
      if (this.#rotated === undefined) ftruncateSync(this.#descriptor, 0);
      else await this.#beginFile(this.#rotated);
      this.#sizeBytes = 0;
    } catch (error) {
      this.#log.warn({ file: this.#destination.path, error: messageOf(error) }, "a log is not rotated");
    }
  }

  async #beginFile(rotated: RotatedFiles): Promise<void> {
    await rotated.add(this.#sizeBytes);
    let next: number;
    try {
      failpoint("log.rotate.renamed");
      next = openSync(this.#destination.path, "a+", LOG_MODE);
    } catch (error) {
      await rotated.takeBack();
      throw error;
    }
    closeSync(this.#descriptor);
    this.#descriptor = next;
    this.#inode = fstatSync(next).ino;
  }

  #noteOfLoss(lost: { bytes: number; reason: string }): Buffer {
    const text = `tsubo: ${lost.bytes} bytes of output were lost here: the log could not be written (${lost.reason})\n`;
    const { buffer, sizeBytes } = encodeRecords(Buffer.from(text), this.#recordTail("stderr"), Buffer.alloc(NOTE_BYTES));
    return buffer.subarray(0, sizeBytes);
  }

  #recordTail(stream: OutputStream): Buffer {
    return recordTail(stream, this.#attributes, formatTime(nowNs()));
  }
}

/** Cuts off a record that was not finished; gives the file's size then. */
function dropTornRecord(descriptor: number, sizeBytes: number): number {
  const tail = Buffer.alloc(Math.min(sizeBytes, TORN_LIMIT_BYTES));
  readSync(descriptor, tail, 0, tail.length, sizeBytes - tail.length);
  const lastEnd = tail.lastIndexOf(NEWLINE) + 1;
  if (lastEnd === tail.length || (lastEnd === 0 && sizeBytes > TORN_LIMIT_BYTES)) return sizeBytes;
  const wholeBytes = sizeBytes - tail.length + lastEnd;
  ftruncateSync(descriptor, wholeBytes);
  return wholeBytes;
}

function writeOnce(descriptor: number, bytes: Buffer, offset: number): Promise<number> {
  return new Promise((resolve, reject) => {
    write(descriptor, bytes, offset, bytes.length - offset, null, (error, written) => (error ? reject(error) : resolve(written)));
  });
}

/** What is taken from a pipe for the output from `begin` to `end`. */
function pipePart({ bytes, carriedBytes }: Origin, begin: number, end: number): Buffer {
  return bytes.subarray(Math.max(0, begin - carriedBytes), Math.max(0, end - carriedBytes));
}

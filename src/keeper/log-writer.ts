import { closeSync, fstatSync, ftruncateSync, openSync, readSync, write } from "node:fs";
import { rename } from "node:fs/promises";
import { codeOf, messageOf } from "../base/errors.ts";
import { failpoint } from "../base/failpoint.ts";
import type { Log } from "../base/log.ts";
import { formatTime, nowNs } from "../base/time.ts";
import { BufferPool } from "./buffers.ts";
import type { OutputStream } from "./frames.ts";
import type { LogDestination } from "./keeper.ts";
import { encodeRecords, recordTail } from "./log-lines.ts";
import { checksumOf, LogMark, type UnfinishedWrite } from "./log-mark.ts";

const LOG_MODE = 0o640;
const NEWLINE = 0x0a;
/** Room for what one turn of output grows to in the log, but for very short lines. */
const ROOM_BYTES = 256 * 1024;
const ROOMS = 4;
const NOTE_BYTES = 512;
const room = new BufferPool(ROOM_BYTES, ROOMS);
/** How far back from its end a log is searched for the end of its last whole record. */
const TORN_LIMIT_BYTES = 1024 * 1024;

export interface Origin {
  bytes: Buffer;
  take: () => void;
}

type JsonFile = Extract<LogDestination, { driver: "json-file" }>;

/**
 * Writes a container's output to its json-file log, and rotates it as Docker does: a file is full with the record that reaches `maxSizeBytes`;
 * then `log` becomes `log.1` (`log.1.gz` when compressed), `log.1` becomes `log.2`, and so on up to `maxFiles` in all.
 *
 * A disk that refuses does not hold the container up: what cannot be written is dropped, counted, and told in the log once it can be
 * written again. The file never keeps part of a record.
 */
export class LogWriter {
  readonly #destination: JsonFile;
  readonly #attributes: string;
  readonly #log: Log;
  readonly #mark: LogMark;
  #unconfirmed: UnfinishedWrite | undefined;
  #descriptor: number;
  #inode: number;
  #sizeBytes: number;
  #tail: Promise<void> = Promise.resolve();
  #lost: { bytes: number; reason: string } | undefined;
  #compressing: Promise<void> = Promise.resolve();
  #closed = false;

  /** `markFile`: where the write under way is marked (log-mark.ts). */
  constructor(destination: JsonFile, markFile: string, log: Log) {
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
  }

  /** The last write of an earlier keeper, of which only the pipe can tell whether it was also taken from there. */
  get unconfirmed(): UnfinishedWrite | undefined {
    return this.#unconfirmed;
  }

  /**
   * Writes output as records; resolves when it is in the file (or lost, with a note). `bytes` are the caller's again at once. `origin`: what
   * of it is still in a pipe, and how to take it from there once it is in the file.
   */
  write(stream: OutputStream, bytes: Buffer, origin?: Origin): Promise<void> {
    const { buffer, sizeBytes } = encodeRecords(bytes, this.#recordTail(stream), room.take());
    const outputBytes = bytes.length;
    const source = origin && { stream, takenBytes: origin.bytes.length, checksum: checksumOf(origin.bytes) };
    this.#tail = this.#tail.then(async () => {
      if (source) this.#mark.begin({ ...source, inode: this.#inode, sizeBytes: this.#sizeBytes, recordsBytes: sizeBytes });
      await this.#write(buffer.subarray(0, sizeBytes), outputBytes);
      origin?.take();
      if (source) this.#mark.end();
      room.give(buffer);
    });
    return this.#tail;
  }

  /** Waits for what is being written, then lets go of the file. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#tail;
    await this.#compressing;
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

  async #write(records: Buffer, outputBytes: number): Promise<void> {
    try {
      await this.#append(this.#lost === undefined ? records : Buffer.concat([this.#noteOfLoss(this.#lost), records]));
      this.#lost = undefined;
    } catch (error) {
      if (this.#lost === undefined) this.#log.warn({ file: this.#destination.path, error: messageOf(error) }, "output is not logged");
      this.#lost = { bytes: (this.#lost?.bytes ?? 0) + outputBytes, reason: codeOf(error) ?? messageOf(error) };
    }
  }

  async #append(records: Buffer): Promise<void> {
    const { maxSizeBytes } = this.#destination;
    for (let start = 0; start < records.length;) {
      if (maxSizeBytes !== undefined && this.#sizeBytes >= maxSizeBytes) await this.#rotate();
      let end = records.length;
      if (maxSizeBytes !== undefined && this.#sizeBytes + end - start > maxSizeBytes) {
        const full = records.indexOf(NEWLINE, start + maxSizeBytes - this.#sizeBytes - 1);
        if (full >= 0) end = full + 1;
      }
      await this.#appendWhole(records.subarray(start, end));
      start = end;
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

  async #rotate(): Promise<void> {
    const { path, maxFiles, compress } = this.#destination;
    if (maxFiles < 2) {
      ftruncateSync(this.#descriptor, 0);
      this.#sizeBytes = 0;
      return;
    }
    await this.#compressing;
    const extension = compress ? ".gz" : "";
    for (let index = maxFiles - 1; index > 1; index -= 1) {
      await renameIfThere(`${path}.${index - 1}${extension}`, `${path}.${index}${extension}`);
    }
    failpoint("log.rotate.shifted");
    await renameIfThere(path, `${path}.1`);
    failpoint("log.rotate.renamed");
    const next = openSync(path, "a+", LOG_MODE);
    closeSync(this.#descriptor);
    this.#descriptor = next;
    this.#inode = fstatSync(next).ino;
    this.#sizeBytes = 0;
    if (compress) this.#compressing = this.#compress(`${path}.1`);
  }

  async #compress(file: string): Promise<void> {
    try {
      const { compressFile } = await import("./log-compress.ts");
      await compressFile(file);
    } catch (error) {
      this.#log.warn({ file, error: messageOf(error) }, "a rotated log is not compressed");
    }
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

async function renameIfThere(from: string, to: string): Promise<void> {
  try {
    await rename(from, to);
  } catch (error) {
    if (codeOf(error) !== "ENOENT") throw error;
  }
}

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

const LOG_MODE = 0o640;
const NEWLINE = 0x0a;
/** Room for what one turn of output grows to in the log, but for very short lines. */
const ROOM_BYTES = 256 * 1024;
const ROOMS = 4;
const NOTE_BYTES = 512;
const room = new BufferPool(ROOM_BYTES, ROOMS);
/** How far back from its end a log is searched for the end of its last whole record. */
const TORN_LIMIT_BYTES = 1024 * 1024;

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
  #descriptor: number;
  #sizeBytes: number;
  #tail: Promise<void> = Promise.resolve();
  #lost: { bytes: number; reason: string } | undefined;
  #compressing: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(destination: JsonFile, log: Log) {
    this.#destination = destination;
    this.#log = log;
    const { attrs } = destination;
    this.#attributes = attrs === undefined || Object.keys(attrs).length === 0 ? "" : JSON.stringify(attrs);
    this.#descriptor = openSync(destination.path, "a+", LOG_MODE);
    this.#sizeBytes = dropTornRecord(this.#descriptor);
  }

  /** Writes output as records; resolves when it is in the file (or lost, with a note). `bytes` are the caller's again at once. */
  write(stream: OutputStream, bytes: Buffer): Promise<void> {
    const { buffer, sizeBytes } = encodeRecords(bytes, this.#recordTail(stream), room.take());
    const outputBytes = bytes.length;
    this.#tail = this.#tail.then(async () => {
      await this.#write(buffer.subarray(0, sizeBytes), outputBytes);
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

/** Cuts off a record that a keeper did not live to finish; gives the file's size. Its text is still in the container's pipe. */
function dropTornRecord(descriptor: number): number {
  const { size } = fstatSync(descriptor);
  const tail = Buffer.alloc(Math.min(size, TORN_LIMIT_BYTES));
  readSync(descriptor, tail, 0, tail.length, size - tail.length);
  const wholeBytes = size - tail.length + tail.lastIndexOf(NEWLINE) + 1;
  if (wholeBytes === size || (tail.lastIndexOf(NEWLINE) < 0 && size > TORN_LIMIT_BYTES)) return size;
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

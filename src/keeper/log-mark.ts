import { closeSync, constants, openSync, readSync, writeSync } from "node:fs";
import { crc32 } from "node:zlib";
import type { OutputStream } from "./frames.ts";

/**
 * A mark on the volatile disk of the write to a log that is under way, so that a keeper that is killed in the middle neither loses nor
 * doubles a line: the next one sees whether the records were written whole, and by their checksum whether the pipe still has what they were
 * made of. It costs two small writes of 2 µs for each piece of output.
 */
export interface UnfinishedWrite {
  stream: OutputStream;
  /** The log's inode and size before, and the size of the records. */
  inode: number;
  sizeBytes: number;
  recordsBytes: number;
  /** How much was to be taken from the pipe then, and what it was. */
  takenBytes: number;
  checksum: number;
}

const MARK_BYTES = 48;
const BEGUN = 0x6d61726b;

export class LogMark {
  readonly #descriptor: number;
  readonly #buffer = Buffer.alloc(MARK_BYTES);

  constructor(file: string) {
    this.#descriptor = openSync(file, constants.O_RDWR | constants.O_CREAT, 0o600);
  }

  /** The write that the last keeper did not live to finish. */
  unfinished(): UnfinishedWrite | undefined {
    const buffer = this.#buffer;
    if (readSync(this.#descriptor, buffer, 0, MARK_BYTES, 0) !== MARK_BYTES || buffer.readUInt32LE(0) !== BEGUN) return undefined;
    return {
      stream: buffer.readUInt32LE(4) === 1 ? "stdout" : "stderr",
      takenBytes: buffer.readUInt32LE(8),
      checksum: buffer.readUInt32LE(12),
      inode: buffer.readDoubleLE(16),
      sizeBytes: buffer.readDoubleLE(24),
      recordsBytes: buffer.readDoubleLE(32),
    };
  }

  begin(write: UnfinishedWrite): void {
    const buffer = this.#buffer;
    buffer.writeUInt32LE(BEGUN, 0);
    buffer.writeUInt32LE(write.stream === "stdout" ? 1 : 2, 4);
    buffer.writeUInt32LE(write.takenBytes, 8);
    buffer.writeUInt32LE(write.checksum, 12);
    buffer.writeDoubleLE(write.inode, 16);
    buffer.writeDoubleLE(write.sizeBytes, 24);
    buffer.writeDoubleLE(write.recordsBytes, 32);
    this.#write(MARK_BYTES);
  }

  end(): void {
    this.#buffer.writeUInt32LE(0, 0);
    this.#write(4);
  }

  #write(sizeBytes: number): void {
    try {
      writeSync(this.#descriptor, this.#buffer, 0, sizeBytes, 0);
    } catch {
      // A full volatile disk costs only the certainty of a keeper that dies right now, not the log.
    }
  }

  close(): void {
    closeSync(this.#descriptor);
  }
}

/** What bytes are told again by. */
export function checksumOf(bytes: Buffer): number {
  return crc32(bytes);
}

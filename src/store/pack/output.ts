import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { closeSync, existsSync, openSync, readSync } from "node:fs";
import { constants, createGzip, type Gzip, type ZlibParams } from "node:zlib";

import { createPipe } from "../../kernel/fifo.ts";
import { writeAll } from "../../kernel/openat.ts";

/** Where a tar goes: into a file, as it is or compressed. What is compressed is hashed on the way. */
export interface PackOutput {
  /** The piece may be overwritten when it resolves. */
  write: (piece: Buffer) => Promise<void>;
  /** What was written; undefined: the tar itself. */
  finish: () => Promise<{ digest: string; sizeBytes: number } | undefined>;
  /** Lets go of everything, whether it was finished or not. */
  close: () => void;
}

const IGZIP = "/usr/bin/igzip";

export function openOutput(target: string, isGzip: boolean): PackOutput {
  const fd = openSync(target, "w+", 0o600);
  if (!isGzip) return plainOutput(fd, target);
  return existsSync(IGZIP) ? igzipOutput(fd) : zlibOutput(fd, target);
}

function plainOutput(fd: number, target: string): PackOutput {
  return {
    write: async (piece) => writeAll(fd, piece, target),
    finish: async () => undefined,
    close: () => closeSync(fd),
  };
}

/** By Intel's igzip, ten times as fast as zlib and on another core, which writes to the file itself; it is hashed as it grows. */
function igzipOutput(fd: number): PackOutput {
  const hash = createHash("sha256");
  const buffer = Buffer.allocUnsafe(1024 * 1024);
  let hashedBytes = 0;
  const pipe = createPipe({ blocking: true });
  const child = spawn(IGZIP, ["-1", "-n", "-c"], { stdio: [pipe.reader, fd, "pipe"], env: {} });
  closeSync(pipe.reader);
  let writer: number | undefined = pipe.writer;
  let complaint = "";
  child.stderr?.on("data", (text: Buffer) => (complaint = (complaint + text.toString()).slice(0, 500)));
  const ended = new Promise<void>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code) => (code === 0 ? resolve() : reject(new Error(`igzip: ${complaint.trim() || `status ${code}`}`))));
  });
  ended.catch(() => undefined);

  const catchUp = (): void => {
    for (let read = readSync(fd, buffer, 0, buffer.length, hashedBytes); read > 0;) {
      hash.update(buffer.subarray(0, read));
      hashedBytes += read;
      read = readSync(fd, buffer, 0, buffer.length, hashedBytes);
    }
  };
  const closeWriter = (): void => {
    if (writer !== undefined) closeSync(writer);
    writer = undefined;
  };
  return {
    async write(piece) {
      try {
        writeAll(pipe.writer, piece, "igzip");
      } catch (error) {
        // It says better why it is gone.
        await ended;
        throw error;
      }
      catchUp();
    },
    async finish() {
      closeWriter();
      await ended;
      catchUp();
      return { digest: `sha256:${hash.digest("hex")}`, sizeBytes: hashedBytes };
    },
    close() {
      closeWriter();
      child.kill("SIGKILL");
      closeSync(fd);
    },
  };
}

const BLOCK_BYTES = 64 * 1024;
const SAMPLE_BYTES = 4096;
/** Of 8: what is random, or compressed already. */
const INCOMPRESSIBLE_BITS = 7.85;

/** By Node's zlib, which spends no time on what it could not make smaller. */
function zlibOutput(fd: number, target: string): PackOutput {
  const hash = createHash("sha256");
  let sizeBytes = 0;
  // It is one of the deflaters, which have `params`; its type leaves it out.
  const gzip = createGzip({ level: 1, chunkSize: BLOCK_BYTES }) as Gzip & ZlibParams;
  let level = 1;
  let failure: unknown;
  gzip.on("data", (bytes: Buffer) => {
    try {
      writeAll(fd, bytes, target);
      hash.update(bytes);
      sizeBytes += bytes.length;
    } catch (error) {
      failure ??= error;
    }
  });
  return {
    async write(piece) {
      for (let at = 0; at < piece.length; at += BLOCK_BYTES) {
        const block = piece.subarray(at, at + BLOCK_BYTES);
        const wanted = entropyBits(block.subarray(0, SAMPLE_BYTES)) > INCOMPRESSIBLE_BITS ? 0 : 1;
        if (wanted !== level) await setLevel(gzip, (level = wanted));
        await pass(gzip, block);
        if (failure !== undefined) throw failure;
      }
    },
    async finish() {
      const ended = new Promise((resolve) => gzip.once("end", resolve));
      gzip.end();
      await ended;
      if (failure !== undefined) throw failure;
      return { digest: `sha256:${hash.digest("hex")}`, sizeBytes };
    },
    close() {
      gzip.destroy();
      closeSync(fd);
    },
  };
}

function setLevel(gzip: ZlibParams, level: number): Promise<void> {
  return new Promise((resolve, reject) => {
    gzip.params(level, constants.Z_DEFAULT_STRATEGY, (error?: Error | null) => (error ? reject(error) : resolve()));
  });
}

/** Resolves when the bytes are compressed. */
function pass(gzip: Gzip, bytes: Buffer): Promise<void> {
  return new Promise((resolve, reject) => gzip.write(bytes, (error) => (error ? reject(error) : resolve())));
}

function entropyBits(sample: Buffer): number {
  const counts = new Uint32Array(256);
  for (const byte of sample) counts[byte] = (counts[byte] ?? 0) + 1;
  let bits = 0;
  for (const count of counts) if (count > 0) bits -= (count / sample.length) * Math.log2(count / sample.length);
  return bits;
}

import { spawn } from "node:child_process";
import { existsSync, readSync } from "node:fs";
import { Readable } from "node:stream";
import { createGunzip, createZstdDecompress } from "node:zlib";

import { EngineError, messageOf } from "../../base/errors.ts";
import { openInflate, openZstd, type Decompressor } from "../../kernel/inflate.ts";

/** What an archive is packed with, told by its first bytes as Docker does, whatever its media type says. */
export type Compression = "none" | "gzip" | "zstd" | "bzip2" | "xz";

const READ_BYTES = 1024 * 1024;
/** So many tell one from the other. */
const MAGIC_BYTES = 6;
const MAGIC: readonly (readonly [Compression, readonly number[]])[] = [
  ["gzip", [0x1f, 0x8b]],
  ["zstd", [0x28, 0xb5, 0x2f, 0xfd]],
  ["bzip2", [0x42, 0x5a, 0x68]],
  ["xz", [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]],
];
/** A zstd frame that only carries data for others (zstd:chunked): 0x184D2A50–5F, little-endian. */
const ZSTD_SKIPPABLE = [0x2a, 0x4d, 0x18];

export function detectCompression(start: Uint8Array): Compression {
  const isSkippable = ((start[0] ?? 0) & 0xf0) === 0x50 && ZSTD_SKIPPABLE.every((byte, index) => start[index + 1] === byte);
  if (isSkippable) return "zstd";
  return MAGIC.find(([, magic]) => magic.every((byte, index) => start[index] === byte))?.[0] ?? "none";
}

/** The same of an open file. */
export function detectCompressionOf(fd: number, offset = 0): Compression {
  const start = Buffer.alloc(16);
  return detectCompression(start.subarray(0, readSync(fd, start, 0, start.length, offset)));
}

/** Part of a file. */
export interface FileRange {
  offset: number;
  sizeBytes: number;
}

/**
 * The content of a file, or of a part of it, decompressed. A chunk is only valid until the next is asked for. `read` hears each piece of the
 * file itself, and how far it is read.
 */
export async function* decompressed(
  fd: number,
  read: (bytes: number, piece: Buffer) => void,
  range: FileRange = { offset: 0, sizeBytes: Number.MAX_SAFE_INTEGER },
): AsyncGenerator<Buffer> {
  yield* unpacked(detectCompressionOf(fd, range.offset), fileChunks(fd, read, range));
}

/** The same of what comes bit by bit. */
export async function* decompressedStream(stream: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  const pieces = stream[Symbol.asyncIterator]();
  const start: Buffer[] = [];
  let isWhole = false;
  while (!isWhole && Buffer.concat(start).length < MAGIC_BYTES) {
    const { done, value } = await pieces.next();
    if (done === true) isWhole = true;
    else start.push(value);
  }
  yield* unpacked(
    detectCompression(Buffer.concat(start)),
    (async function* () {
      yield* start;
      yield* { [Symbol.asyncIterator]: () => pieces };
    })(),
  );
}

type Pieces = Iterable<Buffer> | AsyncIterable<Buffer>;

async function* unpacked(compression: Compression, pieces: Pieces): AsyncGenerator<Buffer> {
  try {
    switch (compression) {
      case "none":
        return yield* pieces;
      case "gzip":
        return yield* native(openInflate(), pieces) ?? streamOf(pieces).pipe(createGunzip({ chunkSize: READ_BYTES }));
      case "zstd":
        return yield* native(openZstd(), pieces) ?? streamOf(pieces).pipe(createZstdDecompress({ chunkSize: READ_BYTES }));
      case "bzip2":
      case "xz":
        return yield* external(compression, pieces);
    }
  } catch (error) {
    if (error instanceof EngineError) throw error;
    throw new EngineError("invalid", `decompressing ${compression}: ${messageOf(error)}`, { cause: error });
  }
}

function* fileChunks(fd: number, read: (bytes: number, piece: Buffer) => void, { offset, sizeBytes }: FileRange): Generator<Buffer> {
  const buffer = Buffer.allocUnsafeSlow(READ_BYTES);
  for (let position = 0; position < sizeBytes;) {
    const bytes = readSync(fd, buffer, 0, Math.min(buffer.length, sizeBytes - position), offset + position);
    if (bytes === 0) return;
    position += bytes;
    const piece = buffer.subarray(0, bytes);
    read(position, piece);
    yield piece;
  }
}

function native(decompressor: Decompressor | undefined, pieces: Pieces): AsyncGenerator<Buffer> | undefined {
  return decompressor && pushAll(decompressor, pieces);
}

async function* pushAll(decompressor: Decompressor, pieces: Pieces): AsyncGenerator<Buffer> {
  try {
    for await (const piece of pieces) yield* decompressor.push(piece);
    decompressor.finish();
  } finally {
    decompressor.close();
  }
}

/** Each piece is copied: a stream asks for the next before it has done with the last. */
function streamOf(pieces: Pieces): Readable {
  return Readable.from(copies(pieces), { objectMode: false, highWaterMark: READ_BYTES });
}

async function* copies(pieces: Pieces): AsyncGenerator<Buffer> {
  for await (const piece of pieces) yield Buffer.from(piece);
}

/** By the program of that name on the host; never one out of an image. */
async function* external(program: "bzip2" | "xz", pieces: Pieces): AsyncGenerator<Buffer> {
  const file = ["/usr/bin", "/bin"].map((folder) => `${folder}/${program}`).find((candidate) => existsSync(candidate));
  if (file === undefined) {
    throw new EngineError("invalid", `the archive is packed with ${program}, and the program ${program} is not installed on this machine`);
  }
  const child = spawn(file, ["-dc"], { stdio: "pipe", env: {} });
  let complaint = "";
  child.stderr.on("data", (text: Buffer) => (complaint = (complaint + text.toString()).slice(0, 500)));
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", resolve);
  });
  ended.catch(() => undefined);
  // It says by itself what it did not like.
  child.stdin.on("error", () => undefined);
  streamOf(pieces)
    .on("error", (error) => child.stdin.destroy(error))
    .pipe(child.stdin);
  try {
    // A child's stdout gives Buffers as long as no encoding is set.
    for await (const chunk of child.stdout) yield chunk as Buffer;
    const code = await ended;
    if (code !== 0) throw new Error(complaint.trim() || `${program} ended with status ${code}`);
  } finally {
    child.kill("SIGKILL");
  }
}

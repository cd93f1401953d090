import { spawn } from "node:child_process";
import { createReadStream, existsSync, readSync } from "node:fs";
import { createGunzip, createZstdDecompress } from "node:zlib";

import { EngineError, messageOf } from "../../base/errors.ts";
import { openInflate, openZstd, type Decompressor } from "../../kernel/inflate.ts";

/** What an archive is packed with, told by its first bytes as Docker does, whatever its media type says. */
export type Compression = "none" | "gzip" | "zstd" | "bzip2" | "xz";

const READ_BYTES = 1024 * 1024;
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
export function detectCompressionOf(fd: number): Compression {
  const start = Buffer.alloc(16);
  return detectCompression(start.subarray(0, readSync(fd, start, 0, start.length, 0)));
}

/** The file's content, decompressed. A chunk is only valid until the next is asked for. `read` hears how far the file itself is read. */
export async function* decompressed(fd: number, read: (bytes: number) => void): AsyncGenerator<Buffer> {
  const compression = detectCompressionOf(fd);
  try {
    switch (compression) {
      case "none":
        return yield* fileChunks(fd, read);
      case "gzip":
        return yield* native(openInflate(), fd, read) ?? counted(fd, read).pipe(createGunzip({ chunkSize: READ_BYTES }));
      case "zstd":
        return yield* native(openZstd(), fd, read) ?? counted(fd, read).pipe(createZstdDecompress({ chunkSize: READ_BYTES }));
      case "bzip2":
      case "xz":
        return yield* external(compression, fd, read);
    }
  } catch (error) {
    if (error instanceof EngineError) throw error;
    throw new EngineError("invalid", `decompressing ${compression}: ${messageOf(error)}`, { cause: error });
  }
}

function* fileChunks(fd: number, read: (bytes: number) => void): Generator<Buffer> {
  const buffer = Buffer.allocUnsafeSlow(READ_BYTES);
  for (let position = 0; ;) {
    const bytes = readSync(fd, buffer, 0, buffer.length, position);
    if (bytes === 0) return;
    position += bytes;
    read(position);
    yield buffer.subarray(0, bytes);
  }
}

function native(decompressor: Decompressor | undefined, fd: number, read: (bytes: number) => void): Generator<Buffer> | undefined {
  return decompressor && pushAll(decompressor, fd, read);
}

function* pushAll(decompressor: Decompressor, fd: number, read: (bytes: number) => void): Generator<Buffer> {
  try {
    for (const chunk of fileChunks(fd, read)) yield* decompressor.push(chunk);
    decompressor.finish();
  } finally {
    decompressor.close();
  }
}

function counted(fd: number, read: (bytes: number) => void): NodeJS.ReadableStream {
  const stream = createReadStream("", { fd, autoClose: false, start: 0, highWaterMark: READ_BYTES });
  stream.on("data", () => read(stream.bytesRead));
  return stream;
}

/** By the program of that name on the host; never one out of an image. */
async function* external(program: "bzip2" | "xz", fd: number, read: (bytes: number) => void): AsyncGenerator<Buffer> {
  const file = ["/usr/bin", "/bin"].map((folder) => `${folder}/${program}`).find((candidate) => existsSync(candidate));
  if (file === undefined) {
    throw new EngineError("invalid", `the archive is packed with ${program}, and the program ${program} is not installed on this machine`);
  }
  const child = spawn(file, ["-dc"], { stdio: [fd, "pipe", "pipe"], env: {} });
  if (child.stdout === null || child.stderr === null) throw new Error(`${program} was started without pipes`);
  let complaint = "";
  child.stderr.on("data", (text: Buffer) => (complaint = (complaint + text.toString()).slice(0, 500)));
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", resolve);
  });
  ended.catch(() => undefined);
  try {
    let total = 0;
    for await (const chunk of child.stdout) {
      // A child's stdout gives Buffers as long as no encoding is set.
      const bytes = chunk as Buffer;
      total += bytes.length;
      read(total);
      yield bytes;
    }
    const code = await ended;
    if (code !== 0) throw new Error(complaint.trim() || `${program} ended with status ${code}`);
  } finally {
    child.kill("SIGKILL");
  }
}

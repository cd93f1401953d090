import { addressOf, libc, type NativeFunction } from "./ffi.ts";

/**
 * Decompression by the zlib and zstd inside Node's own binary, called directly: a third faster than Node's streams, which hand every
 * chunk to a thread and back. Undefined where this Node does not export them (a distribution's build). A slip here takes the process:
 * only for child processes.
 */
export interface Decompressor {
  /** Decompresses all of `input`, piece by piece into one buffer that the next piece overwrites. */
  push: (input: Uint8Array) => Generator<Buffer>;
  /** Throws when the data ended in the middle. */
  finish: () => void;
  close: () => void;
}

export function openInflate(): Decompressor | undefined {
  return inflate && createInflate(inflate);
}

export function openZstd(): Decompressor | undefined {
  return zstd && createZstd(zstd);
}

const OUTPUT_BYTES = 1024 * 1024;
/** z_stream on 64-bit Linux. */
const Z_STREAM = { bytes: 112, nextIn: 0, availableIn: 8, nextOut: 24, availableOut: 32 };
/** 15 bits of window, +16: gzip only. */
const GZIP_WINDOW_BITS = 31;
const Z_OK = 0;
const Z_STREAM_END = 1;
const Z_BUF_ERROR = -5;

const inflate = natives({
  init: "int inflateInit2_(void *stream, int windowBits, const char *version, int size)",
  step: "int inflate(void *stream, int flush)",
  reset: "int inflateReset(void *stream)",
  end: "int inflateEnd(void *stream)",
});
const zstd = natives({
  create: "void *ZSTD_createDStream()",
  step: "size_t ZSTD_decompressStream(void *stream, void *output, void *input)",
  isError: "uint ZSTD_isError(size_t code)",
  errorName: "const char *ZSTD_getErrorName(size_t code)",
  free: "size_t ZSTD_freeDStream(void *stream)",
});

function natives<Key extends string>(prototypes: Record<Key, string>): Record<Key, NativeFunction> | undefined {
  try {
    const entries = Object.entries<string>(prototypes).map(([key, prototype]) => [key, libc(prototype)] as const);
    // The keys are those of `prototypes`.
    return Object.fromEntries(entries) as Record<Key, NativeFunction>;
  } catch {
    return undefined;
  }
}

function createInflate(native: NonNullable<typeof inflate>): Decompressor {
  const stream = Buffer.alloc(Z_STREAM.bytes);
  const output = Buffer.allocUnsafeSlow(OUTPUT_BYTES);
  if (native.init(stream, GZIP_WINDOW_BITS, "1", stream.length) !== Z_OK) throw new Error("zlib: inflateInit2 failed");
  let ended = false;

  return {
    *push(input) {
      stream.writeBigUInt64LE(addressOf(input), Z_STREAM.nextIn);
      stream.writeUInt32LE(input.length, Z_STREAM.availableIn);
      for (;;) {
        const left = stream.readUInt32LE(Z_STREAM.availableIn);
        if (ended) {
          // gzip allows members one after another; bytes of zero are padding.
          if (left === 0) return;
          if (input[input.length - left] === 0) return;
          native.reset(stream);
          ended = false;
        }
        stream.writeBigUInt64LE(addressOf(output), Z_STREAM.nextOut);
        stream.writeUInt32LE(output.length, Z_STREAM.availableOut);
        const code: unknown = native.step(stream, 0);
        if (code !== Z_OK && code !== Z_STREAM_END && code !== Z_BUF_ERROR)
          throw new Error(`gzip: invalid data (zlib error ${String(code)})`);
        const room = stream.readUInt32LE(Z_STREAM.availableOut);
        if (room < output.length) yield output.subarray(0, output.length - room);
        if (code === Z_STREAM_END) ended = true;
        else if (stream.readUInt32LE(Z_STREAM.availableIn) === 0 && room > 0) return;
      }
    },
    finish() {
      if (!ended) throw new Error("gzip: the data ends in the middle");
    },
    close: () => void native.end(stream),
  };
}

function createZstd(native: NonNullable<typeof zstd>): Decompressor {
  const stream: unknown = native.create();
  const output = Buffer.allocUnsafeSlow(OUTPUT_BYTES);
  // ZSTD_inBuffer and ZSTD_outBuffer: pointer, size, position.
  const inBuffer = Buffer.alloc(24);
  const outBuffer = Buffer.alloc(24);
  outBuffer.writeBigUInt64LE(addressOf(output), 0);
  outBuffer.writeBigUInt64LE(BigInt(output.length), 8);
  let hint = 0n;

  return {
    *push(input) {
      inBuffer.writeBigUInt64LE(addressOf(input), 0);
      inBuffer.writeBigUInt64LE(BigInt(input.length), 8);
      inBuffer.writeBigUInt64LE(0n, 16);
      for (;;) {
        outBuffer.writeBigUInt64LE(0n, 16);
        const code: unknown = native.step(stream, outBuffer, inBuffer);
        if (native.isError(code) !== 0) throw new Error(`zstd: invalid data (${String(native.errorName(code))})`);
        hint = BigInt(String(code));
        const filled = Number(outBuffer.readBigUInt64LE(16));
        if (filled > 0) yield output.subarray(0, filled);
        if (inBuffer.readBigUInt64LE(16) === BigInt(input.length) && filled < output.length) return;
      }
    },
    finish() {
      if (hint !== 0n) throw new Error("zstd: the data ends in the middle");
    },
    close: () => void native.free(stream),
  };
}

import { closeSync, fstatSync, ftruncateSync, openSync, readSync } from "node:fs";
import { constants, zstdCompressSync, zstdDecompressSync } from "node:zlib";

import { EngineError } from "../../base/errors.ts";
import * as at from "../../kernel/openat.ts";
import { printable } from "../unpack/entry-path.ts";
import { PieceBuffer } from "./piece-buffer.ts";

/**
 * A layer's recipe: what its folder does not say of the tar it came out of, so that the tar comes back byte for byte: many write tars that
 * no other writes, and a layer's diffID is the digest of all of it. It is kept beside the folder.
 *
 * A recipe is a list of steps: bytes as they stood in the tar (headers, paddings, all that is no file's content), and files to take the
 * content from. The list is cut into pieces of PIECE_BYTES, each compressed by itself and preceded by its length (4 bytes, little-endian).
 * A step is a byte that says what it is, then the count of bytes (8 bytes), then the bytes, or the file's path (2 bytes its length, then
 * itself, a binary string). It may go on in the next piece.
 *
 * Where the folder has lost a content that the tar holds, since a later entry took the file's place, all of the tar is in the recipe.
 */
const STEP = { bytes: 1, file: 2 };
const STEP_HEAD_BYTES = 9;
const PIECE_BYTES = 1024 * 1024;
const ZSTD_LEVEL = { params: { [constants.ZSTD_c_compressionLevel]: 1 } };

export class RecipeWriter {
  readonly #fd: number;
  readonly #path: string;
  readonly #piece = Buffer.allocUnsafeSlow(PIECE_BYTES);
  #filled = 0;
  /** Where the step of bytes that goes on stands in the piece. */
  #open: number | undefined;

  constructor(path: string) {
    this.#path = path;
    this.#fd = openSync(path, "w", 0o600);
  }

  /** Bytes of the tar, as they are. */
  bytes(bytes: Buffer): void {
    for (let rest = bytes; rest.length > 0;) {
      if (this.#open === undefined || this.#filled === PIECE_BYTES) this.#begin();
      const taken = rest.copy(this.#piece, this.#filled);
      this.#filled += taken;
      rest = rest.subarray(taken);
    }
  }

  /** So many bytes of the tar, which are all of what the file at `path` in the layer holds. */
  file(path: string, sizeBytes: number): void {
    this.#closeStep();
    const name = Buffer.from(path, "latin1");
    this.#reserve(STEP_HEAD_BYTES + 2 + name.length);
    this.#head(STEP.file, sizeBytes);
    this.#filled = this.#piece.writeUInt16LE(name.length, this.#filled);
    this.#filled += name.copy(this.#piece, this.#filled);
  }

  /** Forgets all that was said so far. */
  restart(): void {
    ftruncateSync(this.#fd);
    at.rewind(this.#fd, this.#path);
    this.#filled = 0;
    this.#open = undefined;
  }

  finish(): void {
    this.#flush();
  }

  close(): void {
    closeSync(this.#fd);
  }

  #begin(): void {
    this.#closeStep();
    this.#reserve(STEP_HEAD_BYTES + 1);
    this.#open = this.#filled;
    this.#head(STEP.bytes, 0);
  }

  #head(step: number, count: number): void {
    this.#filled = this.#piece.writeUInt8(step, this.#filled);
    this.#filled = this.#piece.writeBigUInt64LE(BigInt(count), this.#filled);
  }

  #closeStep(): void {
    if (this.#open === undefined) return;
    this.#piece.writeBigUInt64LE(BigInt(this.#filled - this.#open - STEP_HEAD_BYTES), this.#open + 1);
    this.#open = undefined;
  }

  #reserve(bytes: number): void {
    if (this.#filled + bytes > PIECE_BYTES) this.#flush();
  }

  #flush(): void {
    this.#closeStep();
    if (this.#filled === 0) return;
    const packed = zstdCompressSync(this.#piece.subarray(0, this.#filled), ZSTD_LEVEL);
    const length = Buffer.alloc(4);
    length.writeUInt32LE(packed.length);
    for (const part of [length, packed]) at.writeAll(this.#fd, part, this.#path);
    this.#filled = 0;
  }
}

/** The tar in pieces; a piece is only valid until the next is asked for. `root` is a descriptor of the layer's folder. */
export function* replayRecipe(recipe: string, root: number): Generator<Buffer> {
  const output = new PieceBuffer();
  for (const piece of piecesOf(recipe)) {
    for (let position = 0; position < piece.length;) {
      const isFile = piece.readUInt8(position) === STEP.file;
      const count = Number(piece.readBigUInt64LE(position + 1));
      position += STEP_HEAD_BYTES;
      if (isFile) {
        const start = position + 2;
        position = start + piece.readUInt16LE(position);
        yield* fileContent(root, piece.toString("latin1", start, position), count, output);
      } else {
        yield* output.bytes(piece.subarray(position, position + count));
        position += count;
      }
    }
  }
  yield* output.rest();
}

function* fileContent(root: number, path: string, sizeBytes: number, output: PieceBuffer): Generator<Buffer> {
  const fd = at.openInRoot(root, path, at.O_RDONLY | at.O_NOFOLLOW | at.O_NONBLOCK);
  try {
    const status = fstatSync(fd);
    if (!status.isFile() || status.size !== sizeBytes) {
      throw new EngineError("system", `"${printable(path)}" is not the file of ${sizeBytes} bytes that it was`);
    }
    yield* output.file(fd, sizeBytes);
  } finally {
    at.close(fd);
  }
}

function* piecesOf(recipe: string): Generator<Buffer> {
  const fd = openSync(recipe, "r");
  try {
    const head = Buffer.alloc(4);
    while (readSync(fd, head) === head.length) {
      const packed = Buffer.allocUnsafe(head.readUInt32LE());
      if (readSync(fd, packed) !== packed.length) throw new EngineError("system", "the layer's recipe ends in the middle");
      yield zstdDecompressSync(packed, { maxOutputLength: PIECE_BYTES });
    }
  } finally {
    closeSync(fd);
  }
}

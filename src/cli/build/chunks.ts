import { readSync } from "node:fs";

import { CommandFailure } from "../failure.ts";

const CHUNK_BYTES = 256 * 1024;

/** Small pieces gathered into large ones. */
export class Chunks {
  #chunk = Buffer.allocUnsafe(CHUNK_BYTES);
  #filled = 0;

  *add(data: Buffer): Generator<Buffer> {
    for (let offset = 0; offset < data.length;) {
      const copied = data.copy(this.#chunk, this.#filled, offset);
      offset += copied;
      this.#filled += copied;
      if (this.#filled === CHUNK_BYTES) yield this.#take();
    }
  }

  /** A file's content, of the size that its header promised. */
  *addFile(descriptor: number, sizeBytes: number, file: string): Generator<Buffer> {
    for (let left = sizeBytes; left > 0;) {
      const read = readSync(descriptor, this.#chunk, this.#filled, Math.min(left, CHUNK_BYTES - this.#filled), null);
      if (read === 0) throw new CommandFailure(`${file} became shorter while it was sent: try again when nobody writes to it`);
      left -= read;
      this.#filled += read;
      if (this.#filled === CHUNK_BYTES) yield this.#take();
    }
  }

  rest(): Buffer {
    return this.#chunk.subarray(0, this.#filled);
  }

  #take(): Buffer {
    const full = this.#chunk;
    this.#chunk = Buffer.allocUnsafe(CHUNK_BYTES);
    this.#filled = 0;
    return full;
  }
}

import { readSync } from "node:fs";

const BUFFER_BYTES = 1024 * 1024;

/** Gathers what is written into pieces of one size. */
export class PieceBuffer {
  readonly #buffer = Buffer.allocUnsafeSlow(BUFFER_BYTES);
  #filled = 0;
  #isUnused = true;

  /** Nothing was ever written. */
  get isUnused(): boolean {
    return this.#isUnused;
  }

  *bytes(bytes: Buffer): Generator<Buffer> {
    for (let rest = bytes; rest.length > 0;) {
      const taken = rest.copy(this.#buffer, this.#filled);
      rest = rest.subarray(taken);
      yield* this.#advance(taken);
    }
  }

  /** So many bytes of a file from where it stands, and zeros for those that it has lost meanwhile. */
  *file(fd: number, sizeBytes: number): Generator<Buffer> {
    for (let left = sizeBytes; left > 0;) {
      const read = readSync(fd, this.#buffer, this.#filled, Math.min(left, BUFFER_BYTES - this.#filled), null);
      if (read === 0) return yield* this.zeros(left);
      left -= read;
      yield* this.#advance(read);
    }
  }

  *zeros(count: number): Generator<Buffer> {
    for (let left = count; left > 0;) {
      const end = Math.min(BUFFER_BYTES, this.#filled + left);
      const taken = end - this.#filled;
      left -= taken;
      this.#buffer.fill(0, this.#filled, end);
      yield* this.#advance(taken);
    }
  }

  *rest(): Generator<Buffer> {
    if (this.#filled > 0) yield this.#buffer.subarray(0, this.#filled);
    this.#filled = 0;
  }

  *#advance(bytes: number): Generator<Buffer> {
    this.#isUnused = false;
    this.#filled += bytes;
    if (this.#filled === BUFFER_BYTES) yield* this.rest();
  }
}

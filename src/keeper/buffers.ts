/**
 * Buffers that are used again and again. A fresh Buffer of 128 KiB costs half a millisecond of page faults on a virtual machine, five times
 * what is done with it; so what passes through the keeper passes through few buffers.
 */
export class BufferPool {
  readonly #sizeBytes: number;
  readonly #keep: number;
  readonly #free: Buffer[] = [];

  /** `keep`: how many unused buffers stay. */
  constructor(sizeBytes: number, keep: number) {
    this.#sizeBytes = sizeBytes;
    this.#keep = keep;
  }

  take(): Buffer {
    return this.#free.pop() ?? Buffer.allocUnsafeSlow(this.#sizeBytes);
  }

  /** Gives a buffer back; one of another size is left to the garbage collector. */
  give(buffer: Buffer): void {
    if (buffer.length === this.#sizeBytes && this.#free.length < this.#keep) this.#free.push(buffer);
  }
}

/** A pooled buffer with several users: it goes back when the last one releases it. */
export class Chunk {
  readonly buffer: Buffer;
  readonly #pool: BufferPool;
  #users = 1;

  constructor(pool: BufferPool) {
    this.#pool = pool;
    this.buffer = pool.take();
  }

  /** One more user. */
  hold(): void {
    this.#users += 1;
  }

  readonly release = (): void => {
    this.#users -= 1;
    if (this.#users === 0) this.#pool.give(this.buffer);
  };
}

import { codeOf } from "../base/errors.ts";
import { writeSome } from "../kernel/fifo.ts";

/** How much may wait for a container that does not read before its client has to wait. */
const QUEUE_LIMIT_BYTES = 256 * 1024;

/**
 * What clients type, on its way into a container: a queue in front of a descriptor that does not block (a FIFO, or a pty's master).
 * A container that does not read holds up the client that writes, and nobody else.
 */
export class Input {
  readonly #descriptor: number;
  readonly #release: () => void;
  readonly #queue: Buffer[] = [];
  #queuedBytes = 0;
  #ending = false;
  #closed = false;
  #drained: (() => void)[] = [];

  /** `release` is called once, when nothing more will be written. */
  constructor(descriptor: number, release: () => void) {
    this.#descriptor = descriptor;
    this.#release = release;
  }

  get ended(): boolean {
    return this.#closed || this.#ending;
  }

  /** Takes bytes. When it gives a promise, send no more until it resolves. */
  write(bytes: Buffer): Promise<void> | undefined {
    if (this.ended) return undefined;
    this.#queue.push(bytes);
    this.#queuedBytes += bytes.length;
    this.flush();
    if (this.#queuedBytes <= QUEUE_LIMIT_BYTES) return undefined;
    return new Promise((resolve) => this.#drained.push(resolve));
  }

  /** Ends the container's stdin once all was written. */
  end(): void {
    this.#ending = true;
    this.flush();
  }

  /** Writes what fits; to be called whenever the descriptor can be written. */
  flush(): void {
    while (!this.#closed) {
      const [first] = this.#queue;
      if (first === undefined) break;
      const written = this.#writeSome(first);
      if (written === undefined) return;
      this.#queuedBytes -= written;
      if (written < first.length) this.#queue[0] = first.subarray(written);
      else this.#queue.shift();
    }
    if (this.#ending) this.close();
    else this.#wake();
  }

  /** Gives up what is queued. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#queue.length = 0;
    this.#queuedBytes = 0;
    this.#release();
    this.#wake();
  }

  #writeSome(bytes: Buffer): number | undefined {
    try {
      return writeSome(this.#descriptor, bytes);
    } catch (error) {
      // Nobody reads any more: EPIPE from a FIFO, EIO from a pty.
      if (codeOf(error) !== "EPIPE" && codeOf(error) !== "EIO") throw error;
      this.close();
      return undefined;
    }
  }

  #wake(): void {
    for (const resolve of this.#drained.splice(0)) resolve();
  }
}

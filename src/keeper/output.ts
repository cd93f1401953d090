import { discard, readSome, tee } from "../kernel/fifo.ts";
import type { Readiness } from "../kernel/poller.ts";
import { Chunk, type BufferPool } from "./buffers.ts";
import type { OutputStream } from "./frames.ts";
import { recordableBytes } from "./log-lines.ts";
import { checksumOf, type UnfinishedWrite } from "./log-mark.ts";
import type { Origin } from "./log-writer.ts";

/** How much is looked at in one turn: at worst, of two-byte lines, 4 ms of work. */
export const TURN_BYTES = 64 * 1024;
/** What keeps coming in smaller pieces than this is let gather for a millisecond: a flood of short writes would cost a turn each. */
const GATHER_BYTES = TURN_BYTES / 2;
/** How long an unfinished line stays in the pipe before it is taken into memory. */
const HOLD_MS = 1000;

export interface OutputSink {
  /** Gives clients bytes they have not had yet, a part of `chunk`. A promise: wait before sending more. */
  forward(stream: OutputStream, bytes: Buffer, chunk: Chunk): Promise<void> | undefined;
  /**
   * Moves what a pipe holds to the one client there is, uncopied, and gives how much that was; undefined when that is not possible now. Absent:
   * it never is.
   */
  splice?: ((stream: OutputStream, pipe: number) => number | undefined) | undefined;
  /** Writes whole records' worth of bytes, encoded before it returns; resolves when they are in the file. Undefined: there is no log. */
  log: ((stream: OutputStream, bytes: Buffer, origin?: Origin) => Promise<void>) | undefined;
  /** An earlier keeper's last write to the log, if it may not have been taken from this output's pipe. */
  unconfirmed?: UnfinishedWrite | undefined;
}

/** What all outputs of a keeper share: a pipe to look through, a place to throw things away, buffers of TURN_BYTES to read into. */
export interface OutputTools {
  scratch: { reader: number; writer: number };
  nullDevice: number;
  buffers: BufferPool;
}

/**
 * One output of a target, read to its end: to the clients at once, to the log line by line.
 *
 * From a pipe with a log, nothing is taken that is not in the log yet: what the pipe holds is copied (tee), forwarded, encoded and written,
 * and only then thrown out of it. A keeper may be killed at any instant; the next one finds in the pipe whatever the log has not. An
 * unfinished line stays in the pipe too, for a second. Other outputs (a terminal, no log) are simply read.
 */
export class Output {
  readonly #descriptor: number;
  readonly #stream: OutputStream;
  readonly #sink: OutputSink;
  readonly #tools: OutputTools;
  readonly #release: () => void;
  readonly #edges: ((wanted: boolean) => void) | undefined;
  /** Looks before it takes. */
  readonly #peeks: boolean;
  #unconfirmed: UnfinishedWrite | undefined;
  /** The beginning of a line, taken already. */
  #carry: Buffer = Buffer.alloc(0);
  /** How many bytes at the head of the pipe the clients have had. */
  #forwardedBytes = 0;
  #lookedAtBytes = 0;
  /** Something happened since the last look. */
  #ready = false;
  #hungUp = false;
  #finishing = false;
  #absorbing = false;
  #pumping = false;
  #drains = false;
  #released = false;
  #listens = true;
  #hold: NodeJS.Timeout | undefined;
  readonly #end = Promise.withResolvers<void>();

  /**
   * `release` is called once, when the descriptor is not read any more; `edges`, if there, when the poller's edges are of no use for a while, and
   * when they are again.
   */
  constructor(
    source: {
      descriptor: number;
      kind: "pipe" | "terminal";
      stream: OutputStream;
      release: () => void;
      edges?: (wanted: boolean) => void;
    },
    sink: OutputSink,
    tools: OutputTools,
  ) {
    this.#descriptor = source.descriptor;
    this.#stream = source.stream;
    this.#release = source.release;
    this.#edges = source.edges;
    this.#sink = sink;
    this.#tools = tools;
    this.#peeks = source.kind === "pipe" && sink.log !== undefined;
    if (this.#peeks && sink.unconfirmed?.stream === source.stream) this.#unconfirmed = sink.unconfirmed;
  }

  /** Resolves when the output has ended and all of it was forwarded and logged; rejects when it cannot be read. */
  get ended(): Promise<void> {
    return this.#end.promise;
  }

  /** To be called on each edge the poller tells. */
  readiness(ready: Readiness): void {
    if (ready.hungUp) this.#hungUp = true;
    if (!ready.readable) return;
    if (this.#drains) this.#drain();
    else this.#wake();
  }

  /**
   * Takes what is there now and ends: for a target whose process has ended while others (its children, on the host's pid namespace or in
   * an exec) hold its output open. What they write later is thrown away, so that it does not fill the pipe and stop them.
   */
  finish(): void {
    this.#finishing = true;
    this.#wake();
  }

  /** Lets go of the descriptor, come what may. */
  close(): void {
    clearTimeout(this.#hold);
    if (this.#released) return;
    this.#released = true;
    this.#release();
  }

  #wake(): void {
    this.#ready = true;
    if (!this.#pumping && !this.#released && !this.#drains) void this.#pump();
  }

  async #pump(): Promise<void> {
    this.#pumping = true;
    let turns = 0;
    try {
      while (this.#ready && !this.#released) {
        this.#ready = false;
        const outcome = await this.#turn();
        if (outcome === "waiting") {
          this.#listen(true);
          turns = 0;
          continue;
        }
        if (outcome === "more") {
          this.#ready = true;
          turns += 1;
          if (turns > 1) this.#listen(false);
          if (turns > 1 && this.#lookedAtBytes < GATHER_BYTES && !this.#finishing) await gather();
          else await othersTurn();
          continue;
        }
        this.#listen(true);
        if (outcome === "ended") this.close();
        this.#drains = outcome === "abandoned";
        this.#end.resolve();
        if (this.#drains) this.#drain();
        return;
      }
    } catch (error) {
      this.close();
      this.#end.reject(error);
    } finally {
      this.#pumping = false;
    }
  }

  async #turn(): Promise<"more" | "waiting" | "ended" | "abandoned"> {
    const spliced = this.#sink.splice?.(this.#stream, this.#descriptor);
    if (spliced !== undefined) {
      this.#lookedAtBytes = spliced;
      return "more";
    }
    const chunk = new Chunk(this.#tools.buffers);
    try {
      const size = this.#look(chunk.buffer);
      this.#lookedAtBytes = size ?? 0;
      if (size !== undefined && size > 0 && this.#takeConfirmed(chunk.buffer.subarray(0, size))) return "more";
      if (size === undefined && !this.#finishing) return "waiting";
      const bytes = chunk.buffer.subarray(0, size ?? 0);
      const fresh = bytes.subarray(this.#forwardedBytes);
      const slow = fresh.length > 0 ? this.#sink.forward(this.#stream, fresh, chunk) : undefined;
      const taken = await this.#record(bytes);
      if (slow !== undefined) await slow;
      if (size === undefined) return "abandoned";
      if (size === 0) return "ended";
      if (taken > 0) return "more";
      this.#holdBack();
      return "waiting";
    } finally {
      chunk.release();
    }
  }

  /** Logs what is ready of `bytes`, and takes it from the pipe; gives how much was taken. */
  async #record(bytes: Buffer): Promise<number> {
    const { log } = this.#sink;
    if (log === undefined) return bytes.length;
    clearTimeout(this.#hold);
    const pending = this.#carry.length === 0 ? bytes : Buffer.concat([this.#carry, bytes]);
    const isLast = bytes.length === 0 || (this.#peeks && (this.#hungUp || this.#finishing) && bytes.length < TURN_BYTES);
    const ready = isLast ? pending.length : recordableBytes(pending);
    const carried = Math.min(ready, this.#carry.length);
    const inMemory = !this.#peeks || this.#absorbing;
    const taken = inMemory ? bytes.length : ready - carried;
    const take = (sizeBytes: number): void => {
      if (this.#peeks && !this.#released) discard(this.#descriptor, this.#tools.nullDevice, sizeBytes);
    };
    const origin = this.#peeks ? { carriedBytes: carried, bytes: bytes.subarray(0, taken), take } : undefined;
    if (ready > 0) await log(this.#stream, pending.subarray(0, ready), origin);
    else take(taken);
    this.#carry = inMemory ? Buffer.from(pending.subarray(ready)) : this.#carry.subarray(carried);
    this.#absorbing = false;
    if (this.#peeks) this.#forwardedBytes = bytes.length - taken;
    return taken + carried;
  }

  #holdBack(): void {
    this.#hold = setTimeout(() => {
      this.#absorbing = true;
      this.#wake();
    }, HOLD_MS);
  }

  /** Reads what there is: in a pipe all at its head, which stays there; else the next bytes, taken. */
  #look(room: Buffer): number | undefined {
    if (!this.#peeks) return readAll(this.#descriptor, room);
    const { scratch } = this.#tools;
    const size = tee(this.#descriptor, scratch.writer, room.length);
    for (let read = 0; size !== undefined && read < size;) read += readSome(scratch.reader, room.subarray(read)) ?? 0;
    return size;
  }

  /** Takes from the pipe what the log has had from an earlier keeper already. */
  #takeConfirmed(bytes: Buffer): boolean {
    const write = this.#unconfirmed;
    this.#unconfirmed = undefined;
    if (write === undefined || write.takenBytes > bytes.length) return false;
    if (checksumOf(bytes.subarray(0, write.takenBytes)) !== write.checksum) return false;
    discard(this.#descriptor, this.#tools.nullDevice, write.takenBytes);
    return true;
  }

  /** Whether edges are of use: not while there is more to read anyway. */
  #listen(wanted: boolean): void {
    if (this.#listens === wanted || this.#released) return;
    this.#listens = wanted;
    this.#edges?.(wanted);
  }

  #drain(): void {
    const chunk = new Chunk(this.#tools.buffers);
    for (let size: number | undefined = 1; size !== undefined && !this.#released;) {
      size = readSome(this.#descriptor, chunk.buffer);
      if (size === 0) this.close();
    }
    chunk.release();
  }
}

/** Reads as much as there is room for, or is there; undefined where that is nothing (yet), 0 at the end. */
function readAll(descriptor: number, room: Buffer): number | undefined {
  let size = 0;
  while (size < room.length) {
    const read = readSome(descriptor, room.subarray(size));
    if (read === undefined || read === 0) return size > 0 ? size : read;
    size += read;
  }
  return size;
}

function gather(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 1));
}

/** One turn per output, then the others'. */
function othersTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

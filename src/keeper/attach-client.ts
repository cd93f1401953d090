import type { Socket } from "node:net";
import { descriptorOf } from "../base/socket-descriptor.ts";
import { moveToSocket, readableBytes, readSome, writeSome } from "../kernel/fifo.ts";
import type { Chunk } from "./buffers.ts";
import { frameHeader, type OutputStream } from "./frames.ts";
import type { AttachOptions } from "./keeper.ts";
import { SpillFile } from "./spill-file.ts";

/** How much of a client's output waits in memory; what comes on top goes to a file. */
const QUEUE_LIMIT_BYTES = 1024 * 1024;
/** How much of one client's output may wait in its file. */
const SPILL_LIMIT_BYTES = 1024 * 1024 * 1024;
/** A client whose file is full and that took nothing for so long is cut off; one that reads on holds its target up, as a pipe would. */
const STUCK_MS = 10_000;
const PROGRESS_CHECK_MS = 250;

/**
 * One client's connection, and what it still has to get.
 *
 * A target does not wait for a client that does not read: up to 1 MB waits in memory, the rest in a file without a name, from which the client
 * is fed when it reads on. So a slow `docker run … tar c / | gzip` loses nothing (the log would do as well, but for text only), and fifty
 * stopped clients cost disk, not memory. Only when a client's gigabyte is full does a target wait, and only for one that still reads.
 */
export class AttachClient {
  readonly options: AttachOptions;
  readonly #socket: Socket;
  readonly #spillFolder: string;
  readonly #raw: boolean;
  #spill: SpillFile | undefined;
  #feeding = false;
  #ending = false;
  #gone = false;

  /** `raw`: a terminal's bytes, without frames. */
  constructor(socket: Socket, options: AttachOptions, raw: boolean, spillFolder: string) {
    this.#socket = socket;
    this.options = options;
    this.#raw = raw;
    this.#spillFolder = spillFolder;
    socket.on("close", () => {
      this.#gone = true;
      this.#dropSpill();
    });
  }

  /**
   * Moves what a pipe holds to the client without copying it; gives how much that was. Undefined: not now, since something waits for the client
   * already.
   */
  splice(stream: OutputStream, pipe: number): number | undefined {
    const descriptor = descriptorOf(this.#socket);
    if (descriptor === undefined || this.#gone || this.#ending || this.#spill !== undefined || this.#socket.writableLength > 0) {
      return undefined;
    }
    const sizeBytes = readableBytes(pipe);
    if (sizeBytes === 0) return undefined;
    try {
      const header = this.#raw ? Buffer.alloc(0) : frameHeader(stream, sizeBytes);
      const begun = header.length === 0 ? 0 : writeSome(descriptor, header);
      if (begun === undefined) return undefined;
      let movedBytes = 0;
      for (let count: number | undefined = begun === header.length ? 1 : 0; count && movedBytes < sizeBytes; movedBytes += count ?? 0) {
        count = moveToSocket(pipe, descriptor, sizeBytes - movedBytes);
      }
      // There is no room for all of it: the rest waits, in its order.
      if (movedBytes < sizeBytes) this.#socket.write(Buffer.concat([header.subarray(begun), takeAll(pipe, sizeBytes - movedBytes)]));
      return sizeBytes;
    } catch {
      this.#socket.destroy();
      return undefined;
    }
  }

  /** Gives it a piece of output, a part of `chunk`. A promise: the target has to wait for it. */
  send(stream: OutputStream, bytes: Buffer, chunk: Chunk): Promise<void> | undefined {
    if (this.#gone || this.#ending || !this.options[stream]) return undefined;
    const header = this.#raw ? undefined : frameHeader(stream, bytes.length);
    if (this.#spill !== undefined || this.#socket.writableLength > QUEUE_LIMIT_BYTES) {
      return this.#spillOver(header === undefined ? Buffer.from(bytes) : Buffer.concat([header, bytes]));
    }
    this.#socket.cork();
    if (header) this.#socket.write(header);
    chunk.hold();
    this.#socket.write(bytes, chunk.release);
    this.#socket.uncork();
    return undefined;
  }

  /** Ends the connection's output once the client was given all. */
  end(): void {
    if (this.#ending) return;
    this.#ending = true;
    if (this.#spill === undefined) this.#socket.end();
  }

  async #spillOver(frame: Buffer): Promise<void> {
    try {
      this.#spill ??= new SpillFile(this.#spillFolder, !this.#raw);
      if (!(await this.#waitForRoom(frame.length))) {
        await this.#cutOff("it did not read for too long");
        return;
      }
      await this.#spill?.append(frame);
    } catch {
      await this.#cutOff("there is no room to keep its output");
    }
    void this.#feed();
  }

  /** Waits for as long as the client reads on; false when it does not. */
  async #waitForRoom(sizeBytes: number): Promise<boolean> {
    let idleMs = 0;
    for (let last: number | undefined; ; idleMs += PROGRESS_CHECK_MS) {
      const waiting = this.#spill?.waitingBytes ?? 0;
      if (waiting + sizeBytes <= SPILL_LIMIT_BYTES || this.#gone) return true;
      const behind = waiting + this.#socket.writableLength;
      if (behind !== last) idleMs = 0;
      last = behind;
      if (idleMs >= STUCK_MS) return false;
      await new Promise((resolve) => setTimeout(resolve, PROGRESS_CHECK_MS));
    }
  }

  /** Moves the file's content to the socket as fast as the client takes it. */
  async #feed(): Promise<void> {
    if (this.#feeding) return;
    this.#feeding = true;
    try {
      while (this.#spill !== undefined) {
        await this.#drained();
        const piece = await this.#spill?.take();
        if (piece !== undefined) {
          this.#socket.write(piece);
          continue;
        }
        this.#dropSpill();
        if (this.#ending) this.#socket.end();
      }
    } catch {
      this.#socket.destroy();
    } finally {
      this.#feeding = false;
    }
  }

  #drained(): Promise<void> {
    if (!this.#socket.writableNeedDrain || this.#gone) return Promise.resolve();
    return new Promise((resolve) => {
      const done = (): void => {
        this.#socket.off("drain", done);
        this.#socket.off("close", done);
        resolve();
      };
      this.#socket.on("drain", done);
      this.#socket.on("close", done);
    });
  }

  /** Takes no more and says why; the client reads it after what it has in its queue, if it ever reads. */
  async #cutOff(why: string): Promise<void> {
    if (this.#ending) return;
    this.#ending = true;
    const text = Buffer.from(`tsubo: this client was cut off: ${why}; the container runs on and its log is complete\n`);
    try {
      await this.#spill?.replaceRest(this.#raw ? text : Buffer.concat([frameHeader("systemError", text.length), text]));
    } catch {
      this.#socket.destroy();
    }
  }

  #dropSpill(): void {
    this.#spill?.close();
    this.#spill = undefined;
  }
}

/** What is in a pipe, of which nobody else takes. */
function takeAll(pipe: number, sizeBytes: number): Buffer {
  const bytes = Buffer.allocUnsafe(sizeBytes);
  for (let read = 0; read < sizeBytes;) {
    const count = readSome(pipe, bytes.subarray(read));
    if (!count) throw new Error("a pipe has lost what it held");
    read += count;
  }
  return bytes;
}

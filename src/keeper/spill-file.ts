import { closeSync, constants, openSync, read, unlinkSync, write } from "node:fs";
import path from "node:path";
import { promisify } from "node:util";
import { FRAME_HEADER_BYTES } from "./frames.ts";

const readAsync = promisify(read);
const writeAsync = promisify(write);
const READ_BYTES = 256 * 1024;

/** A queue of output on the disk: a file without a name, gone with its descriptor or its process. */
export class SpillFile {
  readonly #descriptor: number;
  readonly #framed: boolean;
  #writtenBytes = 0;
  #readBytes = 0;
  /** Where the frame after the one that is being read begins. */
  #nextFrame = 0;
  #writing: Promise<unknown> = Promise.resolve();
  #closed = false;

  constructor(folder: string, framed: boolean) {
    this.#descriptor = openUnnamedFile(folder);
    this.#framed = framed;
  }

  /** What was written and not yet read. */
  get waitingBytes(): number {
    return this.#writtenBytes - this.#readBytes;
  }

  /** Adds a frame (or raw bytes) at the end; rejects when the disk refuses. */
  append(frame: Buffer): Promise<void> {
    const result = this.#writing.then(() => this.#write(frame));
    this.#writing = result.catch(() => undefined);
    return result;
  }

  /** Takes a piece from the front; undefined when all was read. */
  async take(): Promise<Buffer | undefined> {
    if (this.waitingBytes === 0) await this.#writing;
    if (this.waitingBytes === 0 || this.#closed) return undefined;
    const size = Math.min(READ_BYTES, this.waitingBytes);
    const { bytesRead, buffer } = await readAsync(this.#descriptor, Buffer.allocUnsafe(size), 0, size, this.#readBytes);
    const piece = this.#framed ? this.#wholeHeaders(buffer.subarray(0, bytesRead)) : buffer.subarray(0, bytesRead);
    this.#readBytes += piece.length;
    return piece;
  }

  /** Drops what was not yet read but for the rest of a frame that was begun, and puts `last` in its place. */
  replaceRest(last: Buffer): Promise<void> {
    const result = this.#writing.then(() => {
      this.#writtenBytes = this.#framed ? Math.max(this.#nextFrame, this.#readBytes) : this.#readBytes;
      return this.#write(last);
    });
    this.#writing = result.catch(() => undefined);
    return result;
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    // Not under a write or read that is still on its way: the number could be another file's by then.
    void this.#writing.then(() => closeSync(this.#descriptor));
  }

  async #write(frame: Buffer): Promise<void> {
    if (this.#closed) return;
    for (let done = 0; done < frame.length;) {
      const { bytesWritten } = await writeAsync(this.#descriptor, frame, done, frame.length - done, this.#writtenBytes + done);
      done += bytesWritten;
    }
    this.#writtenBytes += frame.length;
  }

  /** Cuts a piece so that it does not end inside a header, and follows the frames in it. */
  #wholeHeaders(piece: Buffer): Buffer {
    const end = this.#readBytes + piece.length;
    while (this.#nextFrame < end) {
      const at = this.#nextFrame - this.#readBytes;
      if (at + FRAME_HEADER_BYTES > piece.length) return at > 0 ? piece.subarray(0, at) : piece;
      this.#nextFrame += FRAME_HEADER_BYTES + piece.readUInt32BE(at + 4);
    }
    return piece;
  }
}

function openUnnamedFile(folder: string): number {
  // Node has no name for it; it goes with O_DIRECTORY.
  const O_TMPFILE = 0o20_000_000 | constants.O_DIRECTORY;
  try {
    return openSync(folder, O_TMPFILE | constants.O_RDWR, 0o600);
  } catch {
    const file = path.join(folder, `.spill-${process.pid}-${performance.now()}`);
    const descriptor = openSync(file, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL, 0o600);
    unlinkSync(file);
    return descriptor;
  }
}

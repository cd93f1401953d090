import { closeSync, constants, openSync, rmSync } from "node:fs";
import { checked, errno, libc } from "./ffi.ts";

/**
 * Named pipes as a container's stdin, stdout and stderr, and how to look into a pipe without taking from it.
 *
 * Output: the container's end is opened read-write, so that it never sees EPIPE when its reader dies: it waits when the pipe is full, and
 * the next reader finds everything, as long as somebody held a reading descriptor when the last writer went. The reader still gets an
 * end, for it holds no writing end. Input: the container's end is read-only, else it would never see an end.
 */

const FIFO_MODE = 0o600;
const { O_NONBLOCK, O_RDONLY, O_RDWR, O_WRONLY } = constants;

const F_SETFL = 4;
const F_SETPIPE_SZ = 1031;
const O_CLOEXEC = 0o2_000_000;
/** What a pipe of ours holds: enough to let the writer go on while one piece is written to the log. */
const FIONREAD = 0x54_1b;
const PIPE_BYTES = 256 * 1024;
const EAGAIN = 11;
const EINTR = 4;
const SPLICE_F_NONBLOCK = 2;

const mkfifo = libc("int mkfifo(const char *path, uint mode)");
const pipe2 = libc("int pipe2(_Out_ int *pair, int flags)");
const fcntl = libc("int fcntl(int fd, int command, long argument)");
const teeCall = libc("long tee(int from, int to, size_t count, uint flags)");
const spliceCall = libc("long splice(int from, void *fromOffset, int to, void *toOffset, size_t count, uint flags)");
const readCall = libc("long read(int fd, _Out_ uint8_t *bytes, size_t count)");
const ioctl = libc("int ioctl(int fd, unsigned long request, _Out_ int *count)");
const writeCall = libc("long write(int fd, uint8_t *bytes, size_t count)");

/** Makes an output FIFO at `path` and opens both ends. `container` is to be closed once the process was started. */
export function createOutputFifo(path: string): { reader: number; container: number } {
  makeFifo(path);
  const reader = openFifoReader(path);
  try {
    growPipe(reader);
    return { reader, container: openSync(path, O_RDWR) };
  } catch (error) {
    closeSync(reader);
    throw error;
  }
}

/** Makes an input FIFO at `path` and opens both ends. `container` is to be closed once the process was started. */
export function createInputFifo(path: string): { writer: number; container: number } {
  makeFifo(path);
  // The container's own open file must block, and opening it for reading only returns at once because a writer is there already.
  const first = openSync(path, O_RDONLY | O_NONBLOCK);
  let writer: number | undefined;
  try {
    writer = openSync(path, O_WRONLY | O_NONBLOCK);
    return { writer, container: openSync(path, O_RDONLY) };
  } catch (error) {
    if (writer !== undefined) closeSync(writer);
    throw error;
  } finally {
    closeSync(first);
  }
}

/** Opens a FIFO for reading, without waiting for a writer; also to hold its content when its reader may die. */
export function openFifoReader(path: string): number {
  return openSync(path, O_RDONLY | O_NONBLOCK);
}

/** Opens a FIFO for writing; throws ENXIO when nobody reads it. */
export function openFifoWriter(path: string): number {
  return openSync(path, O_WRONLY | O_NONBLOCK);
}

/** A pipe without a name whose both ends do not block, unless wished otherwise. */
export function createPipe({ blocking = false } = {}): { reader: number; writer: number } {
  const pair = [0, 0];
  checked("pipe2", pipe2(pair, O_CLOEXEC | (blocking ? 0 : O_NONBLOCK)), "");
  const [reader = -1, writer = -1] = pair;
  growPipe(reader);
  return { reader, writer };
}

/** Makes a descriptor's open file non-blocking. */
export function setNonBlocking(descriptor: number): void {
  checked("fcntl", fcntl(descriptor, F_SETFL, O_NONBLOCK), "O_NONBLOCK");
}

/** The three outcomes of a call on a descriptor that does not block: bytes moved, 0 at the end, undefined when it would wait. */
export type Moved = number | undefined;

/** Copies up to `limitBytes` from one pipe into another without taking them from the first. */
export function tee(from: number, to: number, limitBytes: number): Moved {
  return moved("tee", Number(teeCall(from, to, limitBytes, SPLICE_F_NONBLOCK)));
}

/** Takes `sizeBytes` that are in a pipe and throws them away, or less when there is less. */
export function discard(from: number, nullDevice: number, sizeBytes: number): void {
  let rest = sizeBytes;
  while (rest > 0) {
    const count = moved("splice", Number(spliceCall(from, null, nullDevice, null, rest, SPLICE_F_NONBLOCK)));
    if (count === undefined || count === 0) return;
    rest -= count;
  }
}

/** How much can be read from a pipe now. */
export function readableBytes(descriptor: number): number {
  const count = [0];
  checked("ioctl", ioctl(descriptor, FIONREAD, count), "FIONREAD");
  return count[0] ?? 0;
}

/** Moves up to `limitBytes` from a pipe into a stream socket: its pages change hands, nothing is copied. */
export function moveToSocket(from: number, socket: number, limitBytes: number): Moved {
  return moved("splice", Number(spliceCall(from, null, socket, null, limitBytes, SPLICE_F_NONBLOCK)));
}

/** Reads into `buffer`. A pty's end, EIO, is an end like any other. */
export function readSome(descriptor: number, buffer: Buffer): Moved {
  const EIO = 5;
  const result = Number(readCall(descriptor, buffer, buffer.length));
  if (result < 0 && errno() === EIO) return 0;
  return moved("read", result);
}

/** Writes as much of `bytes` as fits. */
export function writeSome(descriptor: number, bytes: Uint8Array): Moved {
  return moved("write", Number(writeCall(descriptor, bytes, bytes.length)));
}

/** One that an earlier run has left is not used again: others may hold its ends. */
function makeFifo(path: string): void {
  if (mkfifo(path, FIFO_MODE) === 0) return;
  rmSync(path, { force: true });
  checked("mkfifo", mkfifo(path, FIFO_MODE), path);
}

/** Larger pipes are for speed only: a refusal (fs.pipe-max-size, fs.pipe-user-pages-soft) is no failure. */
function growPipe(descriptor: number): void {
  fcntl(descriptor, F_SETPIPE_SZ, PIPE_BYTES);
}

function moved(call: string, result: number): Moved {
  if (result >= 0) return result;
  const number = errno();
  if (number === EAGAIN || number === EINTR) return undefined;
  return checked(call, result, "");
}

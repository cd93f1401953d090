import { readSync } from "node:fs";
import { constants } from "node:os";

import { errno, libc, SystemCallError } from "./ffi.ts";
import { setSize, writeAll } from "./openat.ts";

const nativeCopyFileRange = libc("long copy_file_range(int from, void *fromOffset, int to, void *toOffset, size_t count, uint flags)");
const nativeLseek = libc("long lseek(int fd, long offset, int from)");

/** So that a copy can be given up in between. */
const STEP_BYTES = 16 * 1024 * 1024;
const BUFFER_BYTES = 1024 * 1024;
const SEEK_SET = 0;
const SEEK_DATA = 3;
const SEEK_HOLE = 4;
const { EXDEV, EINVAL, EOPNOTSUPP, ENOSYS, ENXIO } = constants.errno;
/** Pairs of file systems that the kernel cannot copy between. */
const UNSUPPORTED: readonly number[] = [EXDEV, EINVAL, EOPNOTSUPP, ENOSYS];

/** One for all copies, which fill and empty it within one turn: small files are many. */
let buffer: Buffer | undefined;

/** Copies what is left to read of one file to another, in the kernel where it can. Yields between pieces. */
export function* copyBytes(from: number, to: number, what: string): Generator<void> {
  yield* copyRange(from, to, Number.MAX_SAFE_INTEGER, what);
}

/** Copies a whole file to an empty one, holes as holes. */
export function* copySparse(from: number, to: number, sizeBytes: number, what: string): Generator<void> {
  let end = 0;
  for (let begin = seek(from, 0, SEEK_DATA, what); begin !== undefined; begin = seek(from, end, SEEK_DATA, what)) {
    end = seek(from, begin, SEEK_HOLE, what) ?? sizeBytes;
    seek(from, begin, SEEK_SET, what);
    seek(to, begin, SEEK_SET, what);
    yield* copyRange(from, to, end - begin, what);
  }
  setSize(to, sizeBytes, what);
}

function* copyRange(from: number, to: number, bytes: number, what: string): Generator<void> {
  for (let left = bytes; left > 0;) {
    const copied = nativeCopyFileRange(from, null, to, null, Math.min(left, STEP_BYTES), 0) as number;
    if (copied < 0) {
      // Not by an exception, which costs as much as a small file.
      const number = errno();
      if (left !== bytes || !UNSUPPORTED.includes(number)) throw new SystemCallError("copy_file_range", number, what);
      yield* readAndWrite(from, to, left, what);
      return;
    }
    if (copied === 0) return;
    left -= copied;
    yield;
  }
}

function* readAndWrite(from: number, to: number, bytes: number, what: string): Generator<void> {
  buffer ??= Buffer.allocUnsafeSlow(BUFFER_BYTES);
  for (let left = bytes; left > 0;) {
    const read = readSync(from, buffer, 0, Math.min(left, BUFFER_BYTES), null);
    if (read === 0) return;
    writeAll(to, buffer.subarray(0, read), what);
    left -= read;
    yield;
  }
}

/** Undefined where there is no more data. */
function seek(fd: number, offset: number, from: number, what: string): number | undefined {
  const found = nativeLseek(fd, offset, from) as number;
  if (found >= 0) return found;
  const number = errno();
  if (number === ENXIO) return undefined;
  throw new SystemCallError("lseek", number, what);
}

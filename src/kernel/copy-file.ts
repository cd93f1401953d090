import { codeOf } from "../base/errors.ts";
import { checked, libc } from "./ffi.ts";
import { writeAll } from "./openat.ts";
import { readSync } from "node:fs";

const nativeCopyFileRange = libc("long copy_file_range(int from, void *fromOffset, int to, void *toOffset, size_t count, uint flags)");

/** So that a copy can be given up in between. */
const STEP_BYTES = 16 * 1024 * 1024;
/** Pairs of file systems that the kernel cannot copy between. */
const UNSUPPORTED = ["EXDEV", "EINVAL", "EOPNOTSUPP", "ENOSYS"];

/** Copies what is left to read of one file to another, in the kernel where it can. Yields between pieces. */
export function* copyBytes(from: number, to: number, what: string): Generator<void> {
  for (let first = true; ; first = false) {
    try {
      if (checked("copy_file_range", nativeCopyFileRange(from, null, to, null, STEP_BYTES, 0), what) === 0) return;
    } catch (error) {
      if (!first || !UNSUPPORTED.includes(codeOf(error) ?? "")) throw error;
      return yield* readAndWrite(from, to, what);
    }
    yield;
  }
}

function* readAndWrite(from: number, to: number, what: string): Generator<void> {
  const buffer = Buffer.allocUnsafe(1024 * 1024);
  for (let read = readSync(from, buffer); read > 0; read = readSync(from, buffer)) {
    writeAll(to, buffer.subarray(0, read), what);
    yield;
  }
}

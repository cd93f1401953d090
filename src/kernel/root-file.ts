import { closeSync, constants, fstatSync, openSync, readSync } from "node:fs";

import { SystemCallError } from "./ffi.ts";
import { openInRoot } from "./openat.ts";

/** Linux's O_PATH: a descriptor to start from, nothing more. */
const O_PATH = 0o10000000;

/**
 * The text of a file inside a root file system that strangers have filled: no symlink leads out of it, what is no regular file (a FIFO
 * would never end) counts as missing, and more than `limitBytes` is refused. Undefined where there is none.
 */
export function readFileInRoot(root: string, file: string, limitBytes: number): string | undefined {
  const rootFd = openSync(root, O_PATH | constants.O_DIRECTORY);
  try {
    const fd = openRegularFile(rootFd, file);
    if (fd === undefined) return undefined;
    try {
      return readWhole(fd, file, limitBytes);
    } finally {
      closeSync(fd);
    }
  } finally {
    closeSync(rootFd);
  }
}

function openRegularFile(rootFd: number, file: string): number | undefined {
  let fd: number;
  try {
    fd = openInRoot(rootFd, file, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  } catch (error) {
    if (error instanceof SystemCallError && ["ENOENT", "ENOTDIR", "ELOOP", "ENXIO", "EACCES"].includes(error.code)) return undefined;
    throw error;
  }
  if (fstatSync(fd).isFile()) return fd;
  closeSync(fd);
  return undefined;
}

function readWhole(fd: number, file: string, limitBytes: number): string {
  const chunks: Buffer[] = [];
  let total = 0;
  for (;;) {
    const chunk = Buffer.alloc(Math.min(64 * 1024, limitBytes + 1));
    const count = readSync(fd, chunk, 0, chunk.length, null);
    if (count === 0) return Buffer.concat(chunks).toString("utf8");
    total += count;
    if (total > limitBytes) throw new Error(`${file} is larger than ${limitBytes} bytes`);
    chunks.push(chunk.subarray(0, count));
  }
}

import { closeSync, openSync } from "node:fs";
import { errno, libc, SystemCallError } from "./ffi.ts";

const LOCK_EX = 2;
const LOCK_NB = 4;
const EWOULDBLOCK = 11;

const flock = libc("int flock(int fd, int operation)");

/**
 * Locks a file, made when missing, for as long as the descriptor is open: until it is closed or the process ends, however it ends.
 * Undefined: another process has it.
 */
export function lockFile(file: string): number | undefined {
  const descriptor = openSync(file, "a", 0o600);
  if (Number(flock(descriptor, LOCK_EX | LOCK_NB)) === 0) return descriptor;
  const number = errno();
  closeSync(descriptor);
  if (number === EWOULDBLOCK) return undefined;
  throw new SystemCallError("flock", number, file);
}

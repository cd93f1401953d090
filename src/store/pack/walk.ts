import { constants, fstatSync, lstatSync, openSync, readdirSync, type BigIntStats } from "node:fs";

import { codeOf } from "../../base/errors.ts";
import * as at from "../../kernel/openat.ts";

/**
 * Walking a tree below descriptors, following nothing: it may be a container's that changes meanwhile. Names are binary strings
 * (kernel/openat.ts).
 */

/** The one attribute of strangers that is kept in layers, as in Docker. */
export const CAPABILITY = "security.capability";

export function openRoot(folder: string): number {
  return openSync(folder, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
}

/** Names in the order of their bytes. */
export function namesIn(folder: number): string[] {
  return readdirSync(`/proc/self/fd/${folder}`, "latin1").sort();
}

/** Undefined for what is not there (any more). */
export function statusAt(folder: number, leaf: string): BigIntStats | undefined {
  return lstatSync(pathOf(`/proc/self/fd/${folder}/${leaf}`), { bigint: true, throwIfNoEntry: false });
}

export function openFolderAt(folder: number, leaf: string): number | undefined {
  return openIfThere(folder, leaf, at.O_RDONLY | at.O_DIRECTORY | at.O_NOFOLLOW);
}

/** A regular file. Does not block, should a FIFO have come in its place, and takes no device for one. */
export function openFileAt(folder: number, leaf: string): number | undefined {
  const fd = openIfThere(folder, leaf, at.O_RDONLY | at.O_NOFOLLOW | at.O_NONBLOCK);
  if (fd === undefined || fstatSync(fd).isFile()) return fd;
  at.close(fd);
  return undefined;
}

/** overlayfs's mark of something deleted. */
export function isWhiteout(status: BigIntStats): boolean {
  return status.isCharacterDevice() && status.rdev === 0n;
}

/** Undefined for what went away meanwhile, or became something else. */
function openIfThere(folder: number, leaf: string, flags: number): number | undefined {
  try {
    return at.openAt(folder, leaf, flags);
  } catch (error) {
    if (["ENOENT", "ENOTDIR", "ELOOP", "ENXIO"].includes(codeOf(error) ?? "")) return undefined;
    throw error;
  }
}

/** Node takes names that are not ASCII as UTF-8, unless they are bytes. */
export function pathOf(binary: string): string | Buffer {
  return /[\u0080-\u00ff]/.test(binary) ? Buffer.from(binary, "latin1") : binary;
}

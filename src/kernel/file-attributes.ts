import { closeSync, openSync } from "node:fs";
import { constants } from "node:os";

import { checked, checkedAsync, errno, libc, SystemCallError } from "./ffi.ts";

/** What Node cannot say about files: extended attributes, ext4's flags, and one sync for a whole file system. */

const FS_IOC_GETFLAGS = 0x80086601n;
const FS_IOC_SETFLAGS = 0x40086602n;
const FS_TOPDIR_FL = 0x20000;
const ATTRIBUTE_NAMES_LIMIT_BYTES = 65_536;

const attributeNames = Buffer.allocUnsafe(ATTRIBUTE_NAMES_LIMIT_BYTES);
const attributeValue = Buffer.allocUnsafe(ATTRIBUTE_NAMES_LIMIT_BYTES);

const { ENODATA, EOPNOTSUPP } = constants.errno;

const nativeIoctl = libc("int ioctl(int fd, ulong request, void *argument)");
const nativeSyncfs = libc("int syncfs(int fd)");
const nativeFsetxattr = libc("int fsetxattr(int fd, void *name, void *value, size_t size, int flags)");
const nativeLsetxattr = libc("int lsetxattr(void *path, void *name, void *value, size_t size, int flags)");
const nativeLgetxattr = libc("long lgetxattr(void *path, void *name, void *value, size_t size)");
const nativeFgetxattr = libc("long fgetxattr(int fd, void *name, void *value, size_t size)");
const nativeLremovexattr = libc("int lremovexattr(void *path, void *name)");
const nativeFlistxattr = libc("long flistxattr(int fd, void *list, size_t size)");
const nativeLlistxattr = libc("long llistxattr(void *path, void *list, size_t size)");

/** Writes everything of the file system that holds `folder` to the disk. Runs in the thread pool; takes as long as the disk does. */
export async function syncFileSystem(folder: string): Promise<void> {
  const fd = openSync(folder, "r");
  try {
    await checkedAsync("syncfs", nativeSyncfs, [fd], folder);
  } finally {
    closeSync(fd);
  }
}

/**
 * Tells ext4 that the folders below `folder` are unrelated, so that it spreads them over the disk (`chattr +T`). Without it, files made
 * soon after others were deleted cost ten times as much. False where the file system knows no such flag.
 */
export function setTopDirectoryFlag(folder: string): boolean {
  const fd = openSync(folder, "r");
  try {
    const flags = Buffer.alloc(8);
    if (nativeIoctl(fd, FS_IOC_GETFLAGS, flags) < 0) return false;
    flags.writeUInt32LE((flags.readUInt32LE(0) | FS_TOPDIR_FL) >>> 0, 0);
    return nativeIoctl(fd, FS_IOC_SETFLAGS, flags) === 0;
  } finally {
    closeSync(fd);
  }
}

/** Sets an extended attribute of an open file. `what` names the file in an error. */
export function setAttribute(fd: number, name: string, value: Uint8Array, what: string): void {
  checked("fsetxattr", nativeFsetxattr(fd, nameBytes(name), value, value.length, 0), `${what} ${name}`);
}

/** Sets an extended attribute of the file at `path` itself, also of a symlink. */
export function setAttributeOfPath(path: string, name: string, value: Uint8Array): void {
  checked("lsetxattr", nativeLsetxattr(nameBytes(path), nameBytes(name), value, value.length, 0), `${path} ${name}`);
}

/** All extended attributes of the file at `path` itself, by name. Path and names are binary strings (see openat.ts). @public */
export function attributesOf(path: string): Map<string, Buffer> {
  const attributes = new Map<string, Buffer>();
  const listed = nativeLlistxattr(nameBytes(path), attributeNames, attributeNames.length);
  if (listed < 0) {
    const error = new SystemCallError("llistxattr", errno(), path);
    if (error.code === "EOPNOTSUPP") return attributes;
    throw error;
  }
  if (listed === 0) return attributes;
  for (const name of attributeNames.toString("latin1", 0, listed - 1).split("\0")) {
    const size = nativeLgetxattr(nameBytes(path), nameBytes(name), attributeValue, attributeValue.length);
    attributes.set(name, Buffer.from(attributeValue.subarray(0, checked("lgetxattr", size, `${path} ${name}`))));
  }
  return attributes;
}

/** All extended attributes of an open file, by name. `what` names the file in an error. */
export function attributesOfOpen(fd: number, what: string): ReadonlyMap<string, Buffer> {
  const listed = nativeFlistxattr(fd, attributeNames, attributeNames.length);
  if (listed === 0) return NO_ATTRIBUTES;
  if (listed < 0) {
    const number = errno();
    if (number === EOPNOTSUPP) return NO_ATTRIBUTES;
    throw new SystemCallError("flistxattr", number, what);
  }
  const names = attributeNames.toString("latin1", 0, listed - 1).split("\0");
  return new Map(names.map((name) => [name, attributeOfOpen(fd, name, what) ?? Buffer.alloc(0)]));
}

const NO_ATTRIBUTES: ReadonlyMap<string, Buffer> = new Map();

/** One extended attribute of an open file; undefined when it has none of that name. `what` names the file in an error. */
export function attributeOfOpen(fd: number, name: string, what: string): Buffer | undefined {
  const size = nativeFgetxattr(fd, nameBytes(name), attributeValue, attributeValue.length);
  if (size >= 0) return Buffer.from(attributeValue.subarray(0, size));
  // Most files have none, and an error is dear.
  const number = errno();
  if (number === ENODATA || number === EOPNOTSUPP) return undefined;
  throw new SystemCallError("fgetxattr", number, `${what} ${name}`);
}

/** Takes an extended attribute from the file at `path` itself. */
export function removeAttributeOfPath(path: string, name: string): void {
  checked("lremovexattr", nativeLremovexattr(nameBytes(path), nameBytes(name)), `${path} ${name}`);
}

function nameBytes(name: string): Buffer {
  return Buffer.from(`${name}\0`, "latin1");
}

import type { FileTime } from "../base/time.ts";
import { constants } from "node:fs";

import { checked, libc } from "./ffi.ts";

/**
 * File calls below a folder's descriptor, for trees whose names come from strangers.
 *
 * Names are *binary strings*: one character per byte (latin1), because a name in a layer is bytes and need not be UTF-8. `bytesOf` makes
 * the NUL-terminated form the kernel wants. Every descriptor made here is close-on-exec.
 */

const SYS_OPENAT2 = 437;
const RESOLVE_NO_MAGICLINKS = 0x02;
const RESOLVE_NO_SYMLINKS = 0x04;
const RESOLVE_IN_ROOT = 0x10;

export const O_RDONLY = 0;
export const O_WRONLY = 1;
export const O_CREAT = 0o100;
export const O_EXCL = 0o200;
export const { O_DIRECTORY, O_NOFOLLOW, O_NONBLOCK } = constants;
export const O_CLOEXEC = 0o2000000;
export const O_PATH = 0o10000000;
const SEEK_SET = 0;
const SEEK_CUR = 1;
const AT_SYMLINK_NOFOLLOW = 0x100;
const AT_REMOVEDIR = 0x200;
const AT_FDCWD = -100;
/** A symlink holds at most a page. */
const linkTarget = Buffer.alloc(4096);

export const S_IFCHR = 0o020000;
export const S_IFBLK = 0o060000;
export const S_IFIFO = 0o010000;

const syscallOpenat2 = libc("long syscall(long number, int directory, void *path, void *how, size_t size)");
const nativeOpenat = libc("int openat(int directory, void *path, int flags, uint mode)");
const nativeMkdirat = libc("int mkdirat(int directory, void *path, uint mode)");
const nativeMknodat = libc("int mknodat(int directory, void *path, uint mode, uint64_t device)");
const nativeSymlinkat = libc("int symlinkat(void *content, int directory, void *path)");
const nativeLinkat = libc("int linkat(int fromDirectory, void *from, int toDirectory, void *to, int flags)");
const nativeFchown = libc("int fchown(int fd, uint user, uint group)");
const nativeFchmod = libc("int fchmod(int fd, uint mode)");
const nativeFchownat = libc("int fchownat(int directory, void *path, uint user, uint group, int flags)");
const nativeFutimens = libc("int futimens(int fd, void *times)");
const nativeUtimensat = libc("int utimensat(int directory, void *path, void *times, int flags)");
const nativeFchmodat = libc("int fchmodat(int directory, void *path, uint mode, int flags)");
const nativeUnlinkat = libc("int unlinkat(int directory, void *path, int flags)");
const nativeReadlinkat = libc("long readlinkat(int directory, void *path, void *buffer, size_t size)");
const nativeWrite = libc("long write(int fd, void *bytes, size_t count)");
const nativeLseek = libc("long lseek(int fd, long offset, int from)");
const nativeFtruncate = libc("int ftruncate(int fd, long size)");
const nativeClose = libc("int close(int fd)");

/** The bytes of a binary string with the NUL at its end. */
export function bytesOf(name: string): Buffer {
  return Buffer.from(`${name}\0`, "latin1");
}

/** `struct open_how`: flags, mode, resolve, 8 bytes each; used in one synchronous call at a time. */
const how = Buffer.alloc(24);

/** Opens `path` as if `root` were `/`: absolute names, `..` and symlinks stay inside, /proc's magic links are refused. */
export function openInRoot(root: number, path: string, flags: number, { symlinks = true } = {}): number {
  how.writeUInt32LE(flags | O_CLOEXEC, 0);
  how.writeUInt32LE(RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | (symlinks ? 0 : RESOLVE_NO_SYMLINKS), 16);
  return checked("openat2", syscallOpenat2(SYS_OPENAT2, root, bytesOf(path === "" ? "." : path), how, how.length), path);
}

/** Opens a name directly below `directory`. */
export function openAt(directory: number, name: string, flags: number, mode = 0): number {
  return checked("openat", nativeOpenat(directory, bytesOf(name), flags | O_CLOEXEC, mode), name);
}

export function makeDirectoryAt(directory: number, name: string, mode: number): void {
  checked("mkdirat", nativeMkdirat(directory, bytesOf(name), mode), name);
}

/** Makes a device, FIFO or (device 0:0) a whiteout. */
export function makeNodeAt(directory: number, name: string, mode: number, device: { major: number; minor: number }): void {
  checked("mknodat", nativeMknodat(directory, bytesOf(name), mode, deviceNumber(device.major, device.minor)), name);
}

export function symlinkAt(content: string, directory: number, name: string): void {
  checked("symlinkat", nativeSymlinkat(bytesOf(content), directory, bytesOf(name)), name);
}

/** Links without following a symlink at `from`. */
export function linkAt(fromDirectory: number, from: string, toDirectory: number, to: string): void {
  checked("linkat", nativeLinkat(fromDirectory, bytesOf(from), toDirectory, bytesOf(to), 0), to);
}

export function changeOwner(fd: number, user: number, group: number, what: string): void {
  checked("fchown", nativeFchown(fd, user, group), what);
}

export function changeMode(fd: number, mode: number, what: string): void {
  checked("fchmod", nativeFchmod(fd, mode), what);
}

/** Follows no symlink: for the link itself, and for nodes that must not be opened. */
export function changeOwnerAt(directory: number, name: string, user: number, group: number): void {
  checked("fchownat", nativeFchownat(directory, bytesOf(name), user, group, AT_SYMLINK_NOFOLLOW), name);
}

/** Follows no symlink, whose mode cannot be changed: that fails. fchmodat itself would follow, out of the tree too. */
export function changeModeAt(directory: number, name: string, mode: number): void {
  const fd = openAt(directory, name, O_PATH | O_NOFOLLOW);
  try {
    checked("fchmodat", nativeFchmodat(AT_FDCWD, bytesOf(`/proc/self/fd/${fd}`), mode, 0), name);
  } finally {
    close(fd);
  }
}

/** Takes a name away; `isFolder`: of an empty folder. */
export function unlinkAt(directory: number, name: string, { isFolder }: { isFolder: boolean }): void {
  checked("unlinkat", nativeUnlinkat(directory, bytesOf(name), isFolder ? AT_REMOVEDIR : 0), name);
}

/** What a symlink that is open (O_PATH) says. */
export function readLink(fd: number): string {
  const length = checked("readlinkat", Number(nativeReadlinkat(fd, bytesOf(""), linkTarget, linkTarget.length)), "");
  return linkTarget.toString("latin1", 0, length);
}

const NS_PER_SECOND = 1_000_000_000n;

/** A status's `mtimeNs`. */
export function timeOf(ns: bigint): FileTime {
  const rest = ((ns % NS_PER_SECOND) + NS_PER_SECOND) % NS_PER_SECOND;
  return { seconds: Number((ns - rest) / NS_PER_SECOND), nanoseconds: Number(rest) };
}

/** Sets the modification time, and the access time to the same. */
export function setTimes(fd: number, time: FileTime, what: string): void {
  checked("futimens", nativeFutimens(fd, timesOf(time)), what);
}

export function setTimesAt(directory: number, name: string, time: FileTime): void {
  checked("utimensat", nativeUtimensat(directory, bytesOf(name), timesOf(time), AT_SYMLINK_NOFOLLOW), name);
}

/** Writes all of `bytes`. */
export function writeAll(fd: number, bytes: Uint8Array, what: string): void {
  let rest = bytes;
  while (rest.length > 0) {
    const written = checked("write", nativeWrite(fd, rest, rest.length), what);
    rest = rest.subarray(written);
  }
}

/** Moves on over bytes that nothing is written to: a hole. */
export function skip(fd: number, bytes: number, what: string): void {
  checked("lseek", nativeLseek(fd, bytes, SEEK_CUR), what);
}

/** Goes back to the start. */
export function rewind(fd: number, what: string): void {
  checked("lseek", nativeLseek(fd, 0, SEEK_SET), what);
}

/** Sets the size, for a file that ends in a hole. */
export function setSize(fd: number, bytes: number, what: string): void {
  checked("ftruncate", nativeFtruncate(fd, bytes), what);
}

export function close(fd: number): void {
  checked("close", nativeClose(fd), `descriptor ${fd}`);
}

/** glibc's makedev. */
export function deviceNumber(major: number, minor: number): bigint {
  const [high, low] = [BigInt(major), BigInt(minor)];
  return ((high & 0xfffff000n) << 32n) | ((high & 0xfffn) << 8n) | ((low & 0xffffff00n) << 12n) | (low & 0xffn);
}

/** glibc's major and minor. */
export function deviceParts(device: bigint): { major: number; minor: number } {
  return {
    major: Number(((device >> 32n) & 0xfffff000n) | ((device >> 8n) & 0xfffn)),
    minor: Number(((device >> 12n) & 0xffffff00n) | (device & 0xffn)),
  };
}

const times = Buffer.alloc(32);

function timesOf(time: FileTime): Buffer {
  for (const offset of [0, 16]) {
    times.writeBigInt64LE(BigInt(time.seconds), offset);
    times.writeBigInt64LE(BigInt(time.nanoseconds), offset + 8);
  }
  return times;
}

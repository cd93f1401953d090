import { closeSync, openSync } from "node:fs";

import { codeOf } from "../base/errors.ts";
import { checked, libc, SystemCallError } from "./ffi.ts";
import { statusAt } from "./file-status.ts";
import * as at from "./openat.ts";

/**
 * A tree of mounts that belongs to nobody else: a container's root file system with what is mounted in it, and nothing of the kernel's own
 * (/proc, /sys, /dev). It hangs in no mount namespace, is held by the descriptor of its root, and is gone when that is closed, also by a
 * crash. Whoever resolves names below it with `openInRoot` cannot leave it, whatever a container does meanwhile.
 *
 * To put one together takes a mount namespace, for mounts cannot be attached to a tree that hangs in none (before Linux 6.15): the thread
 * enters a private copy of ours and comes back, all in one synchronous window, in which nothing is loaded and no program is started
 * (CVE-2019-14271 was a library loaded from the container). Not for the daemon: the thread has a working directory and umask of its own from then on.
 */
export interface MountTree {
  /** A folder of ours to put the tree together at; nobody else sees it there. */
  place: string;
  /** Takes root and mounts from where this process sees them. */
  process?: number | undefined;
  /** Else: where the root is mounted. */
  root: string;
  /** Outer ones before inner ones. */
  mounts: readonly TreeMount[];
  /** Nothing can be changed by way of it. */
  readOnly: boolean;
  /** Nor in the root file system. */
  readOnlyRoot: boolean;
}

export interface TreeMount {
  /** As the container sees it. */
  target: string;
  /** A file or folder of ours; not needed where a process has it. */
  source?: string | undefined;
  readOnly: boolean;
}

/** The root is not mounted (any more), or the process is gone. */
export class NoTreeError extends Error {}

// The numbers of calls added since Linux 5.1 are the same on every architecture.
const SYS_OPEN_TREE = 428;
const SYS_MOVE_MOUNT = 429;
const SYS_MOUNT_SETATTR = 442;
const AT_FDCWD = -100;
const AT_EMPTY_PATH = 0x1000;
const AT_RECURSIVE = 0x8000;
const OPEN_TREE_CLONE = 1;
const MOVE_MOUNT_F_EMPTY_PATH = 0x4;
const MOVE_MOUNT_T_EMPTY_PATH = 0x40;
const MOUNT_ATTR_RDONLY = 0x1;
const MOUNT_ATTR_NOSUID = 0x2;
const MOUNT_ATTR_NODEV = 0x4;
const MOUNT_ATTR_NOEXEC = 0x8;
const CLONE_NEWNS = 0x20000;
const MS_RDONLY = 1;
const MS_REMOUNT = 32;
const MS_BIND = 4096;
const MS_REC = 16384;
const MS_PRIVATE = 1 << 18;

const unshare = libc("int unshare(int flags)");
const setns = libc("int setns(int fd, int type)");
const fchdir = libc("int fchdir(int fd)");
const chroot = libc("int chroot(const char *path)");
const mount2 = libc("int mount(const char *source, const char *target, const char *type, ulong flags, const char *data)");
const openTreeCall = libc("long syscall(long number, int directory, const char *path, uint flags)");
const moveMountCall = libc("long syscall(long number, int from, const char *fromPath, int to, const char *toPath, uint flags)");
const setAttributesCall = libc("long syscall(long number, int directory, const char *path, uint flags, void *attributes, size_t size)");

/** Gives the descriptor of the tree's root; the caller closes it. */
export function openMountTree(tree: MountTree): number {
  using held = new Descriptors();
  const theirs = tree.process === undefined ? undefined : held.add(openNamespace(tree.process));
  const [ours, root, folder] = ["/proc/self/ns/mnt", "/", "."].map((path) => held.add(openSync(path, "r")));
  checked("unshare", unshare(CLONE_NEWNS), "a mount namespace");
  try {
    change("/", MS_REC | MS_PRIVATE);
    const parts = theirs === undefined ? fromOurs(tree, held) : fromProcess(tree, theirs, held);
    return assemble(tree, parts, held);
  } finally {
    // It would be in the wrong place for all that follows: better gone.
    const isBack = setns(ours, CLONE_NEWNS) === 0 && fchdir(root) === 0 && chroot(".") === 0 && fchdir(folder) === 0;
    if (!isBack) process.abort();
  }
}

/** Copies of a root and of what is mounted in it, not put together yet. */
interface Parts {
  root: number;
  mounts: { target: string; fd: number; readOnly: boolean }[];
}

function fromOurs({ root, mounts }: MountTree, held: Descriptors): Parts {
  if (statusAt(AT_FDCWD, root)?.isMountPoint !== true) throw new NoTreeError(`nothing is mounted at ${root}`);
  return {
    root: held.add(clone(AT_FDCWD, root)),
    mounts: mounts.flatMap(({ source, ...mount }) =>
      source === undefined ? [] : [{ ...mount, fd: held.add(clone(AT_FDCWD, source, AT_RECURSIVE)) }],
    ),
  };
}

/** What the process has unmounted, or never had, is left out. */
function fromProcess(tree: MountTree, theirs: number, held: Descriptors): Parts {
  const identity = statusAt(AT_FDCWD, tree.root)?.identity();
  const home = held.add(openSync("/proc/self/ns/mnt", "r"));
  checked("setns", setns(theirs, CLONE_NEWNS), "the container's mount namespace");
  try {
    const root = held.add(at.openAt(AT_FDCWD, "/", at.O_PATH | at.O_DIRECTORY));
    if (statusAt(root, "")?.identity() !== identity) throw new NoTreeError("the process is of another container");
    const found = tree.mounts.flatMap((mount) => {
      const place = openIfThere(root, mount.target);
      if (place === undefined) return [];
      held.add(place);
      return statusAt(place, "")?.isMountPoint === true ? [{ ...mount, fd: held.add(clone(place, "", AT_EMPTY_PATH | AT_RECURSIVE)) }] : [];
    });
    return { root: held.add(clone(root, "", AT_EMPTY_PATH)), mounts: found };
  } finally {
    checked("setns", setns(home, CLONE_NEWNS), "our mount namespace");
  }
}

function assemble(tree: MountTree, { root, mounts }: Parts, held: Descriptors): number {
  const place = held.add(at.openAt(AT_FDCWD, tree.place, at.O_PATH | at.O_DIRECTORY));
  attach(root, place);
  for (const { target, fd, readOnly } of mounts) {
    attach(fd, held.add(openPlace(root, target, statusAt(fd, "")?.type === "directory")));
    if (readOnly) setAttributes(fd, MOUNT_ATTR_RDONLY, AT_RECURSIVE);
  }
  const whole = clone(root, "", AT_EMPTY_PATH | AT_RECURSIVE);
  try {
    // No device of a container's making is ever opened by us.
    setAttributes(whole, MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC | (tree.readOnly ? MOUNT_ATTR_RDONLY : 0), AT_RECURSIVE);
    if (tree.readOnlyRoot) setAttributes(whole, MOUNT_ATTR_RDONLY, 0);
    return whole;
  } catch (error) {
    closeSync(whole);
    throw error;
  }
}

function openNamespace(pid: number): number {
  try {
    return openSync(`/proc/${pid}/ns/mnt`, "r");
  } catch (error) {
    throw new NoTreeError(`process ${pid} is gone`, { cause: error });
  }
}

function clone(directory: number, path: string, flags = 0): number {
  const call = openTreeCall(SYS_OPEN_TREE, directory, path, OPEN_TREE_CLONE | at.O_CLOEXEC | flags);
  return checked("open_tree", Number(call), path);
}

/** Mounts a copy, which takes no part any more in what happens to the one it was made of. */
function attach(fd: number, place: number): void {
  const flags = MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH;
  checked("move_mount", Number(moveMountCall(SYS_MOVE_MOUNT, fd, "", place, "", flags)), "");
  change(`/proc/self/fd/${fd}`, MS_REC | MS_PRIVATE);
}

function change(path: string, flags: number): void {
  checked("mount", mount2(null, path, null, flags, null), path);
}

function setAttributes(fd: number, attributes: number, flags: number): void {
  // struct mount_attr: what to set, what to clear, propagation, user namespace.
  const wanted = Buffer.alloc(32);
  wanted.writeUInt32LE(attributes, 0);
  try {
    checked("mount_setattr", Number(setAttributesCall(SYS_MOUNT_SETATTR, fd, "", AT_EMPTY_PATH | flags, wanted, wanted.length)), "");
  } catch (error) {
    // Before Linux 5.12; what hangs in no namespace cannot be changed then, and need not.
    if (codeOf(error) !== "ENOSYS") throw error;
    if (attributes === MOUNT_ATTR_RDONLY) mount2(null, `/proc/self/fd/${fd}`, null, MS_BIND | MS_REMOUNT | MS_RDONLY, null);
  }
}

/** The place of a mount; made where it is missing, as a runtime would. */
function openPlace(root: number, target: string, isFolder: boolean): number {
  const there = openIfThere(root, target);
  if (there !== undefined) return there;
  const parts = target.split("/").filter((part) => part !== "");
  for (let depth = 1; depth <= parts.length; depth += 1) {
    const name = parts[depth - 1] ?? "";
    const folder = at.openInRoot(root, parts.slice(0, depth - 1).join("/"), at.O_PATH | at.O_DIRECTORY);
    try {
      if (depth < parts.length || isFolder) at.makeDirectoryAt(folder, name, 0o755);
      else at.close(at.openAt(folder, name, at.O_WRONLY | at.O_CREAT | at.O_EXCL, 0o755));
    } catch (error) {
      if (codeOf(error) !== "EEXIST") throw error;
    } finally {
      at.close(folder);
    }
  }
  return at.openInRoot(root, target, at.O_PATH);
}

function openIfThere(root: number, path: string): number | undefined {
  try {
    return at.openInRoot(root, path, at.O_PATH);
  } catch (error) {
    if (error instanceof SystemCallError && (error.code === "ENOENT" || error.code === "ENOTDIR")) return undefined;
    throw error;
  }
}

class Descriptors implements Disposable {
  readonly #held: number[] = [];

  add(fd: number): number {
    this.#held.push(fd);
    return fd;
  }

  [Symbol.dispose](): void {
    for (const fd of this.#held) closeSync(fd);
  }
}

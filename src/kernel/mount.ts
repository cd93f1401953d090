import path from "node:path";
import { closeSync, openSync, readFileSync } from "node:fs";
import { getSystemErrorMessage } from "node:util";

import { checked, checkedAsync, libc, SystemCallError } from "./ffi.ts";

/**
 * Mounting: overlays, and taking mounts away.
 *
 * An overlay goes through the new mount calls, one `lowerdir+` per layer (Linux 6.7; up to 500 layers). Older kernels refuse `lowerdir+`
 * with EINVAL and get one mount(2), whose options must fit into a page: long lists of lower folders are then named by descriptors
 * (`/proc/self/fd/N`), which keeps them short. umount2 writes back what is dirty in an overlay's upper layer (60 ms per 100 MB), so it
 * always runs in the thread pool.
 */
export interface OverlayMount {
  /** Read-only layers, topmost first; at least one. */
  lower: string[];
  /** What is written goes here; without it the mount is read-only, and the kernel wants two layers at least. */
  writable?: {
    upper: string;
    work: string;
    /** Skips every sync of the upper layer: for content that a crash may take. */
    volatile: boolean;
  };
  target: string;
}

/** Named even where they are the default: another default would change what an upper layer holds. */
const OVERLAY_OPTIONS: readonly (readonly [string, string])[] = [
  ["redirect_dir", "off"],
  ["index", "off"],
  ["metacopy", "off"],
  ["xino", "off"],
];

/** mount(2) takes one page of options, with its NUL. */
const MOUNT_OPTIONS_LIMIT_BYTES = 4095;

// The numbers of calls added since Linux 5.1 are the same on every architecture; musl and older glibc lack wrappers.
const SYS_MOVE_MOUNT = 429;
const SYS_FSOPEN = 430;
const SYS_FSCONFIG = 431;
const SYS_FSMOUNT = 432;
const FSOPEN_CLOEXEC = 1;
const FSMOUNT_CLOEXEC = 1;
const FSCONFIG_SET_FLAG = 0;
const FSCONFIG_SET_STRING = 1;
const FSCONFIG_CMD_CREATE = 6;
const MOVE_MOUNT_F_EMPTY_PATH = 4;
const AT_FDCWD = -100;
const MS_RDONLY = 1;
const MS_REMOUNT = 32;
const MS_BIND = 4096;
const MS_REC = 16384;

/** The words of mount(8) that are flags of mount(2). */
const MOUNT_FLAGS = new Map<string, { bits: number; clears?: boolean }>([
  ["ro", { bits: MS_RDONLY }],
  ["rw", { bits: MS_RDONLY, clears: true }],
  ["nosuid", { bits: 2 }],
  ["suid", { bits: 2, clears: true }],
  ["nodev", { bits: 4 }],
  ["dev", { bits: 4, clears: true }],
  ["noexec", { bits: 8 }],
  ["exec", { bits: 8, clears: true }],
  ["sync", { bits: 16 }],
  ["dirsync", { bits: 128 }],
  ["noatime", { bits: 1024 }],
  ["nodiratime", { bits: 2048 }],
  ["relatime", { bits: 1 << 21 }],
  ["strictatime", { bits: 1 << 24 }],
  ["bind", { bits: MS_BIND }],
  ["rbind", { bits: MS_BIND | MS_REC }],
  ["defaults", { bits: 0 }],
]);
const MNT_DETACH = 2;
const UMOUNT_NOFOLLOW = 8;
const O_PATH = 0o10000000;

const syscallFsopen = libc("long syscall(long number, const char *name, uint flags)");
const syscallFsconfig = libc("long syscall(long number, int fd, uint command, const char *key, const char *value, int aux)");
const syscallFsmount = libc("long syscall(long number, int fd, uint flags, uint attributes)");
const syscallMoveMount = libc("long syscall(long number, int fromFd, const char *from, int toFd, const char *to, uint flags)");
const mount2 = libc("int mount(const char *source, const char *target, const char *type, ulong flags, const char *data)");
const nativeStatvfs = libc("int statvfs(const char *path, void *status)");
const umount2 = libc("int umount2(const char *target, int flags)");

let lowerPlus = true;

/** Mounts an overlay. `forceOld` takes the way of old kernels, for tests. */
export async function mountOverlay(overlay: OverlayMount, options: { forceOld?: boolean } = {}): Promise<void> {
  if (lowerPlus && options.forceOld !== true) {
    try {
      await mountOverlayNew(overlay);
      return;
    } catch (error) {
      if (!(error instanceof UnknownOptionError)) throw error;
      lowerPlus = false;
    }
  }
  await mountOverlayOld(overlay);
}

class UnknownOptionError extends Error {}

async function mountOverlayNew(overlay: OverlayMount): Promise<void> {
  const context = openContext();
  try {
    // What `mount` shows in the container; without it the kernel says `none`.
    setString(context, "source", "overlay");
    for (const lower of overlay.lower) setString(context, "lowerdir+", lower);
    if (overlay.writable !== undefined) {
      setString(context, "upperdir", overlay.writable.upper);
      setString(context, "workdir", overlay.writable.work);
    }
    for (const [key, value] of OVERLAY_OPTIONS) setString(context, key, value);
    if (overlay.writable?.volatile === true) {
      checked("fsconfig", syscallFsconfig(SYS_FSCONFIG, context, FSCONFIG_SET_FLAG, "volatile", null, 0), "overlay volatile");
    }
    const what = `overlay at ${overlay.target}`;
    // The one step that touches the disk: it makes the work folder.
    await checkedAsync("fsconfig", syscallFsconfig, [SYS_FSCONFIG, context, FSCONFIG_CMD_CREATE, null, null, 0], what);
    const mounted = checked("fsmount", syscallFsmount(SYS_FSMOUNT, context, FSMOUNT_CLOEXEC, 0), what);
    try {
      checked("move_mount", syscallMoveMount(SYS_MOVE_MOUNT, mounted, "", AT_FDCWD, overlay.target, MOVE_MOUNT_F_EMPTY_PATH), what);
    } finally {
      closeSync(mounted);
    }
  } finally {
    closeSync(context);
  }
}

function openContext(): number {
  try {
    return checked("fsopen", syscallFsopen(SYS_FSOPEN, "overlay", FSOPEN_CLOEXEC), "overlay");
  } catch (error) {
    if (error instanceof SystemCallError && error.code === "ENOSYS") throw new UnknownOptionError();
    throw error;
  }
}

function setString(context: number, key: string, value: string): void {
  try {
    checked("fsconfig", syscallFsconfig(SYS_FSCONFIG, context, FSCONFIG_SET_STRING, key, value, 0), `overlay ${key}=${value}`);
  } catch (error) {
    if (key === "lowerdir+" && error instanceof SystemCallError && error.code === "EINVAL") throw new UnknownOptionError();
    throw error;
  }
}

async function mountOverlayOld(overlay: OverlayMount): Promise<void> {
  const descriptors: number[] = [];
  try {
    let data = overlayData(overlay, overlay.lower);
    if (Buffer.byteLength(data) > MOUNT_OPTIONS_LIMIT_BYTES) {
      for (const lower of overlay.lower) descriptors.push(openSync(lower, O_PATH));
      data = overlayData(
        overlay,
        descriptors.map((fd) => `/proc/self/fd/${fd}`),
      );
    }
    await checkedAsync("mount", mount2, ["overlay", overlay.target, "overlay", 0, data], `overlay at ${overlay.target}`);
  } finally {
    for (const fd of descriptors) closeSync(fd);
  }
}

function overlayData(overlay: OverlayMount, lower: string[]): string {
  const named = OVERLAY_OPTIONS.map(([key, value]) => `${key}=${value}`);
  const { upper, work, volatile } = overlay.writable ?? {};
  const written = upper === undefined ? [] : [`upperdir=${upper}`, `workdir=${work}`];
  return [`lowerdir=${lower.join(":")}`, ...written, ...named, ...(volatile === true ? ["volatile"] : [])].join(",");
}

/** Shows a folder at another place, too. */
export async function bindMount(source: string, target: string, { readOnly = false } = {}): Promise<void> {
  const what = `${source} at ${target}`;
  await checkedAsync("mount", mount2, [source, target, null, MS_BIND, null], what);
  // Only a second call makes a bind mount read-only.
  if (readOnly) await checkedAsync("mount", mount2, [null, target, null, MS_BIND | MS_REMOUNT | MS_RDONLY, null], what);
}

/** Mounts a file system as mount(8) would: words of `options` that the kernel knows as flags become flags, the rest is the file system's. */
export async function mountFileSystem(mount: { type: string; source: string; target: string; options: string }): Promise<void> {
  let flags = 0;
  const data: string[] = [];
  for (const word of mount.options.split(",").filter((each) => each !== "")) {
    const flag = MOUNT_FLAGS.get(word);
    if (flag === undefined) data.push(word);
    else flags = flag.clears ? flags & ~flag.bits : flags | flag.bits;
  }
  const isBind = (flags & MS_BIND) !== 0;
  const what = `${mount.source} at ${mount.target}`;
  const type = isBind || mount.type === "none" ? null : mount.type;
  const options = data.length === 0 ? null : data.join(",");
  try {
    await checkedAsync("mount", mount2, [mount.source, mount.target, type, flags, options], what);
  } catch (error) {
    if (!(error instanceof SystemCallError)) throw error;
    // In the words of Docker's library for it.
    const how = `${flags === 0 ? "" : `, flags: 0x${flags.toString(16)}`}${options === null ? "" : `, data: ${options}`}`;
    throw new Error(`mount ${mount.source}:${mount.target}${how}: ${getSystemErrorMessage(-error.errno)}`, { cause: error });
  }
  // What a bind mount may not do has to be said by a second call.
  if (isBind && (flags & ~(MS_BIND | MS_REC)) !== 0) {
    try {
      await checkedAsync("mount", mount2, [null, mount.target, null, MS_REMOUNT | (flags & ~MS_REC), null], what);
    } catch (error) {
      await unmount(mount.target);
      throw error;
    }
  }
}

const ST_FLAGS = [
  [1, "ro"],
  [2, "nosuid"],
  [4, "nodev"],
  [8, "noexec"],
] as const;
/** `struct statvfs` of glibc and musl on 64 bits: f_flag is its tenth word. */
const STATVFS_BYTES = 128;
const STATVFS_FLAG_AT = 72;

/** What may not be done by way of the mount that holds `file`. */
export async function mountRestrictions(file: string): Promise<string[]> {
  const status = Buffer.alloc(STATVFS_BYTES);
  await checkedAsync("statvfs", nativeStatvfs, [file, status], file);
  const flags = status.readUInt32LE(STATVFS_FLAG_AT);
  return ST_FLAGS.filter(([bit]) => (flags & bit) !== 0).map(([, word]) => word);
}

/** Bind mounts of folders below `folder`. */
export function findBindMounts(folder: string): { folder: string; target: string }[] {
  const mounts = readMounts();
  const under = mounts.filter(({ target }) => folder === target || folder.startsWith(target === "/" ? "/" : `${target}/`));
  const holder = under.toSorted((a, b) => a.target.length - b.target.length).at(-1);
  if (holder === undefined) return [];
  // What the folder is called within its file system, whose root may be another folder.
  const root = path.posix.join(holder.root, path.posix.relative(holder.target, folder));
  const found = mounts.filter((mount) => mount.device === holder.device && mount.root.startsWith(`${root}/`));
  return found.map((mount) => ({ folder: path.posix.join(folder, path.posix.relative(root, mount.root)), target: mount.target }));
}

/** Takes the topmost mount at `target` away; false when nothing is mounted there. One that is busy is detached and goes with its last user. */
export async function unmount(target: string): Promise<boolean> {
  const what = `of ${target}`;
  try {
    await checkedAsync("umount2", umount2, [target, UMOUNT_NOFOLLOW], what);
    return true;
  } catch (error) {
    if (!(error instanceof SystemCallError)) throw error;
    if (error.code === "EINVAL" || error.code === "ENOENT") return false;
    if (error.code !== "EBUSY") throw error;
  }
  await checkedAsync("umount2", umount2, [target, UMOUNT_NOFOLLOW | MNT_DETACH], what);
  return true;
}

export interface MountEntry {
  /** `MAJOR:MINOR` of the file system. */
  device: string;
  /** What of the file system is mounted. */
  root: string;
  target: string;
  type: string;
  source: string;
  superOptions: string;
  /** It hears of mounts made elsewhere, and what is mounted here is told there, or the former alone. */
  propagation: "shared" | "slave" | "private";
}

/** What is mounted in our mount namespace, in the order it was mounted. */
export function readMounts(): MountEntry[] {
  const entries: MountEntry[] = [];
  for (const line of readFileSync("/proc/self/mountinfo", "utf8").split("\n")) {
    const [before, after] = line.split(" - ");
    const [, , device = "", root = "", target, , ...peers] = before?.split(" ") ?? [];
    const isIn = (group: string): boolean => peers.some((peer) => peer.startsWith(`${group}:`));
    const [type, source, superOptions] = after?.split(" ") ?? [];
    if (target !== undefined && type !== undefined) {
      entries.push({
        device,
        root: unescapeOctal(root),
        target: unescapeOctal(target),
        type,
        source: unescapeOctal(source ?? ""),
        superOptions: unescapeOctal(superOptions ?? ""),
        propagation: isIn("shared") ? "shared" : isIn("master") ? "slave" : "private",
      });
    }
  }
  return entries;
}

/** mountinfo writes blanks, tabs, newlines and backslashes as `\040` and the like. */
function unescapeOctal(text: string): string {
  return text.replaceAll(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
}

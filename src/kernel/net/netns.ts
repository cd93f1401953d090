import { closeSync, constants, openSync, readdirSync, rmSync, statfsSync, writeFileSync } from "node:fs";

import { checked, errno, libc, SystemCallError } from "../ffi.ts";

/**
 * Network namespaces: the only place where Node enters one.
 *
 * setns changes the calling *thread*. A window is a synchronous function: the kernel worker thread (or the DNS thread) goes in, runs
 * it and comes back before any other code can run on that thread. Sockets and /proc/sys/net descriptors opened inside stay inside for life. Nothing
 * asynchronous may be started in a window: a thread of libuv's pool, if it were born then, would stay in that namespace (so the daemon
 * warms the pool before it starts this thread). A thread that cannot come back would do everything later in the wrong place: it aborts
 * the process; the keeper makes that cheap.
 */

const CLONE_NEWNET = 0x40000000;
const MS_BIND = 0x1000;
const MNT_DETACH = 2;
const EINVAL = 22;
const ENOENT = 2;
const NSFS_MAGIC = 0x6e736673;

/** The calling thread's namespace. */
const OWN_NAMESPACE = "/proc/thread-self/ns/net";

const unshareCall = libc("int unshare(int flags)");
const setnsCall = libc("int setns(int fd, int type)");
const mountCall = libc("int mount(const char *source, const char *target, const char *type, unsigned long flags, const void *data)");
const umountCall = libc("int umount2(const char *target, int flags)");
const abortCall = libc("void abort()");

/** Runs `work` inside the namespace that `fd` refers to. */
export function inNamespace<T>(fd: number, work: () => T): T {
  return window(() => checked("setns", setnsCall(fd, CLONE_NEWNET), "entering a network namespace"), work);
}

/** A descriptor of the namespace that is kept at `file`. */
export function openNamespace(file: string): number {
  return openSync(file, constants.O_RDONLY);
}

/** Makes a namespace, runs `work` inside and mounts it at `file`, where it stays until `removeNamespace`. Nothing is left when it throws. */
export function createNamespace<T>(file: string, work: () => T): T {
  writeFileSync(file, "", { flag: "wx", mode: 0o444 });
  try {
    return window(
      () => checked("unshare", unshareCall(CLONE_NEWNET), "making a network namespace"),
      () => {
        const result = work();
        checked("mount", mountCall(OWN_NAMESPACE, file, "none", MS_BIND, null), `keeping a network namespace at ${file}`);
        return result;
      },
    );
  } catch (error) {
    rmSync(file, { force: true });
    throw error;
  }
}

/** Lets go of a namespace; the kernel removes it and its links in the background once its last process is gone. Idempotent. */
export function removeNamespace(file: string): void {
  // Each call takes one mount off; a crash between two daemons could have stacked them.
  for (;;) {
    if (umountCall(file, MNT_DETACH) === 0) continue;
    const error = new SystemCallError("umount2", errno(), file);
    if (error.errno === EINVAL || error.errno === ENOENT) break;
    throw error;
  }
  rmSync(file, { force: true });
}

/** The files in a folder of namespaces; `mounted` where a namespace is kept there. */
export function listNamespaces(folder: string): { name: string; mounted: boolean }[] {
  return readdirSync(folder).map((name) => ({ name, mounted: statfsSync(`${folder}/${name}`).type === NSFS_MAGIC }));
}

function window<T>(enter: () => void, work: () => T): T {
  const home = openSync(OWN_NAMESPACE, constants.O_RDONLY);
  try {
    enter();
    try {
      return work();
    } finally {
      if (setnsCall(home, CLONE_NEWNET) !== 0) {
        process.stderr.write("tsubo: cannot return from a network namespace: aborting\n");
        abortCall();
      }
    }
  } finally {
    closeSync(home);
  }
}

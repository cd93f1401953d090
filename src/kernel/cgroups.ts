import { readdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import path from "node:path";
import { codeOf } from "../base/errors.ts";
import { cgroupFolders, readCgroupLayout, type CgroupLayout } from "./cgroup-layout.ts";

/**
 * Control groups as containers have them, on v1, on v2 and on hosts that mount both ("hybrid").
 *
 * A container's `cgroupsPath` (`/tsubo/ID`) names a folder below the mount point of each hierarchy. The runtime makes the folders; we
 * read counters from them, freeze them and remove them. A path in systemd's form (`slice:prefix:name`) is the runtime's own affair: then
 * the functions here know of no folders and the caller takes the runtime's way.
 */
let layout: CgroupLayout | undefined;

/** How often reading and writing a freezer may go on until all processes have stopped, and the pause between: a second in all. */
const FREEZE_TRIES = 100;
const FREEZE_PAUSE_MS = 10;

/**
 * Removes a container's groups, with those it made itself below. False when one is still in use or cannot be named: then the runtime
 * must do it, which also kills what is left inside.
 */
export function removeCgroup(cgroupsPath: string): boolean {
  if (!isPlainPath(cgroupsPath)) return false;
  let removed = true;
  for (const folder of cgroupFolders(hierarchies(), cgroupsPath)) removed = removeFolder(folder) && removed;
  return removed;
}

/**
 * Makes moving processes between groups quick for the next milliseconds. The kernel lets the first move after a pause wait for an RCU grace
 * period (cgroup_threadgroup_rwsem; 6–8 ms measured on Linux 6.18) and those that follow soon not at all. So when a process is about to be
 * put into a container, we move ourselves to where we are while the rest is being prepared. Never rejects.
 */
export async function hastenMoves(): Promise<void> {
  try {
    ownProcesses ??= findOwnProcesses(hierarchies(), readFileSync("/proc/self/cgroup", "utf8"));
    if (ownProcesses !== undefined) await writeFile(ownProcesses, "0");
  } catch {
    // Then it is as quick as it is.
  }
}

let ownProcesses: string | undefined;

/** The file that moves who writes into it to the group we are in; `groups` is /proc/self/cgroup. */
function findOwnProcesses({ v1, unified }: CgroupLayout, groups: string): string | undefined {
  const pids = v1.get("pids");
  const [mountPoint, line] = pids === undefined ? [unified?.mountPoint, /^0::(.*)$/m] : [pids, /^\d+:(?:.*,)?pids(?:,.*)?:(.*)$/m];
  const group = line.exec(groups)?.[1];
  return mountPoint === undefined || group === undefined ? undefined : path.join(mountPoint, group, "cgroup.procs");
}

/** How many processes of the group the kernel has killed for want of memory; undefined where it does not say. */
export function readOomKills(cgroupsPath: string): number | undefined {
  const file = counterFile(cgroupsPath);
  if (file === undefined) return undefined;
  const count = /^oom_kill (\d+)$/m.exec(readIfThere(file) ?? "")?.[1];
  return count === undefined ? undefined : Number(count);
}

/** Freezes or thaws a group; false when that cannot be done here and the runtime must. */
export async function freezeCgroup(cgroupsPath: string, frozen: boolean): Promise<boolean> {
  if (!isPlainPath(cgroupsPath)) return false;
  const { v1, unified } = hierarchies();
  const freezer = v1.get("freezer");
  try {
    if (freezer !== undefined) {
      const state = frozen ? "FROZEN" : "THAWED";
      const file = path.join(freezer, cgroupsPath, "freezer.state");
      // A group under FREEZING that forks needs the order again (the kernel's freezer-subsystem.rst).
      return await untilTrue(() => {
        writeFileSync(file, state);
        return readFileSync(file, "utf8").trim() === state;
      });
    }
    if (unified === undefined) return false;
    const folder = path.join(unified.mountPoint, cgroupsPath);
    writeFileSync(path.join(folder, "cgroup.freeze"), frozen ? "1" : "0");
    return await untilTrue(() => readFileSync(path.join(folder, "cgroup.events"), "utf8").includes(`frozen ${frozen ? 1 : 0}`));
  } catch (error) {
    if (codeOf(error) === "ENOENT") return false;
    throw error;
  }
}

/** The hierarchies mounted here. Read once: they do not change under a keeper that has containers. */
function hierarchies(): CgroupLayout {
  layout ??= readCgroupLayout();
  return layout;
}

function isPlainPath(cgroupsPath: string): boolean {
  return path.isAbsolute(cgroupsPath) && path.normalize(cgroupsPath) === cgroupsPath && cgroupsPath !== "/";
}

function counterFile(cgroupsPath: string): string | undefined {
  if (!isPlainPath(cgroupsPath)) return undefined;
  const { v1, unified } = hierarchies();
  const memory = v1.get("memory");
  if (memory !== undefined) return path.join(memory, cgroupsPath, "memory.oom_control");
  return unified && path.join(unified.mountPoint, cgroupsPath, "memory.events");
}

function removeFolder(folder: string): boolean {
  try {
    rmdirSync(folder);
    return true;
  } catch (error) {
    const code = codeOf(error);
    if (code === "ENOENT") return true;
    if (code !== "EBUSY" && code !== "ENOTEMPTY") return false;
  }
  try {
    const inner = readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isDirectory());
    if (inner.length === 0 || !inner.every((entry) => removeFolder(path.join(folder, entry.name)))) return false;
    rmdirSync(folder);
    return true;
  } catch (error) {
    return codeOf(error) === "ENOENT";
  }
}

function readIfThere(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return undefined;
  }
}

async function untilTrue(test: () => boolean): Promise<boolean> {
  for (let tries = 0; tries < FREEZE_TRIES; tries += 1) {
    if (test()) return true;
    await new Promise((resolve) => setTimeout(resolve, FREEZE_PAUSE_MS));
  }
  return false;
}

import { existsSync, readFileSync } from "node:fs";
import { mkdir, readFile, rmdir } from "node:fs/promises";
import path from "node:path";

import { codeOf } from "../base/errors.ts";
import { checked, libc } from "./ffi.ts";

/**
 * Where this host has its control groups.
 *
 * `v1`: one hierarchy per controller. `v2`: one hierarchy for all. `hybrid`: both are mounted; each controller lives in exactly one of
 * them, and OCI runtimes look for it on the v1 side. A container's `cgroupsPath` names a folder below each hierarchy's mount point.
 */
export interface CgroupLayout {
  mode: "v1" | "hybrid" | "v2";
  /** Mount point of each v1 controller and named hierarchy (`memory`, `name=systemd`). */
  v1: ReadonlyMap<string, string>;
  unified: { mountPoint: string; controllers: ReadonlySet<string> } | undefined;
}

const UNIFIED_ROOT = "/sys/fs/cgroup";

/** Finds the hierarchies that are mounted here. */
export function readCgroupLayout(): CgroupLayout {
  return parseCgroupLayout(readFileSync("/proc/self/mountinfo", "utf8"), (mountPoint) => {
    try {
      return readFileSync(path.join(mountPoint, "cgroup.controllers"), "utf8");
    } catch {
      return "";
    }
  });
}

/** The layout that a mountinfo file tells of; `readControllers` gives the text of a cgroup2 mount's `cgroup.controllers`. */
export function parseCgroupLayout(mountInfo: string, readControllers: (mountPoint: string) => string): CgroupLayout {
  const v1 = new Map<string, string>();
  let unifiedMountPoint: string | undefined;
  for (const line of mountInfo.split("\n")) {
    const [before, after] = line.split(" - ");
    const [, , , root, mountPoint] = before?.split(" ") ?? [];
    const [type, , superOptions] = after?.split(" ") ?? [];
    if (mountPoint === undefined || root !== "/") continue;
    if (type === "cgroup2") unifiedMountPoint ??= mountPoint;
    if (type !== "cgroup") continue;
    for (const option of superOptions?.split(",") ?? []) {
      if (option !== "rw" && option !== "ro" && !v1.has(option)) v1.set(option, mountPoint);
    }
  }
  const unified = unifiedMountPoint === undefined ? undefined : readUnified(unifiedMountPoint, readControllers);
  if (unified === undefined) return { mode: "v1", v1, unified };
  return { mode: unified.mountPoint === UNIFIED_ROOT ? "v2" : "hybrid", v1, unified };
}

function readUnified(mountPoint: string, readControllers: (mountPoint: string) => string): CgroupLayout["unified"] {
  return { mountPoint, controllers: new Set(readControllers(mountPoint).split(/\s+/).filter(Boolean)) };
}

const nativeMount = libc("int mount(const char *source, const char *target, const char *type, ulong flags, const char *data)");
const CGROUP_MOUNT_FLAGS = 2 | 4 | 8; // MS_NOSUID | MS_NODEV | MS_NOEXEC

/**
 * crun takes a hybrid host whose v2 side still holds controllers for a v2 host and refuses it. Each of them that is in no use there is
 * mounted as a v1 hierarchy beside the others, as cgroupfs-mount does. Gives back the layout after that; a controller that the kernel
 * does not give up (`EBUSY`) stays where it is, and then only runc runs here.
 */
export async function ensureCrunCanRun(layout: CgroupLayout): Promise<CgroupLayout> {
  if (layout.mode !== "hybrid" || layout.unified === undefined || layout.unified.controllers.size === 0) return layout;
  for (const controller of layout.unified.controllers) {
    const target = path.join(UNIFIED_ROOT, controller);
    const made = await mkdir(target).then(
      () => true,
      (error: unknown) => {
        if (codeOf(error) === "EEXIST") return false;
        throw error;
      },
    );
    try {
      checked("mount", nativeMount("cgroup", target, "cgroup", CGROUP_MOUNT_FLAGS, controller), `of ${target}`);
    } catch {
      if (made) await rmdir(target);
    }
  }
  return readCgroupLayout();
}

/** A group's folder in every hierarchy, whether it is there or not. */
export function cgroupFolders(layout: CgroupLayout, cgroupsPath: string): string[] {
  const mountPoints = new Set([...layout.v1.values(), ...(layout.unified === undefined ? [] : [layout.unified.mountPoint])]);
  return [...mountPoints].map((mountPoint) => path.join(mountPoint, cgroupsPath));
}

/** The processes of a group and of those below it that share its pids hierarchy; empty when the group is gone. */
export async function pidsInCgroup(layout: CgroupLayout, cgroupsPath: string): Promise<number[]> {
  const mountPoint = layout.v1.get("pids") ?? layout.v1.get("devices") ?? layout.unified?.mountPoint;
  if (mountPoint === undefined) return [];
  try {
    const text = await readFile(path.join(mountPoint, cgroupsPath, "cgroup.procs"), "utf8");
    return text.split("\n").filter(Boolean).map(Number);
  } catch (error) {
    if (codeOf(error) === "ENOENT") return [];
    throw error;
  }
}

/** Which limits the kernel can hold here. What it cannot is a warning in the answer to create. */
export interface LimitSupport {
  memory: boolean;
  memorySwap: boolean;
  memoryReservation: boolean;
  memorySwappiness: boolean;
  kernelMemory: boolean;
  oomKillDisable: boolean;
  pids: boolean;
  cpuShares: boolean;
  cpuQuota: boolean;
  cpuset: boolean;
  blockWeight: boolean;
  blockWeightDevice: boolean;
  blockReadBytes: boolean;
  blockWriteBytes: boolean;
  blockReadOperations: boolean;
  blockWriteOperations: boolean;
  /** CPUs and memory nodes that a container may be given, as the kernel lists them: `0-3,7`. */
  cpus: string;
  memoryNodes: string;
}

/** Looks for the files that hold the limits, as dockerd does (moby pkg/sysinfo). */
export function readLimitSupport(layout: CgroupLayout): LimitSupport {
  return layout.mode === "v2" && layout.unified !== undefined ? supportOfV2(layout.unified) : supportOfV1(layout.v1);
}

function supportOfV1(v1: ReadonlyMap<string, string>): LimitSupport {
  const has = (controller: string, file: string): boolean => {
    const mountPoint = v1.get(controller);
    return mountPoint !== undefined && existsSync(path.join(mountPoint, file));
  };
  const read = (file: string): string => readIfThere(path.join(v1.get("cpuset") ?? "", file));
  return {
    memory: has("memory", "memory.limit_in_bytes"),
    memorySwap: has("memory", "memory.memsw.limit_in_bytes"),
    memoryReservation: has("memory", "memory.soft_limit_in_bytes"),
    memorySwappiness: has("memory", "memory.swappiness"),
    kernelMemory: has("memory", "memory.kmem.limit_in_bytes"),
    oomKillDisable: has("memory", "memory.oom_control"),
    pids: v1.has("pids"),
    cpuShares: has("cpu", "cpu.shares"),
    cpuQuota: has("cpu", "cpu.cfs_quota_us"),
    cpuset: v1.has("cpuset"),
    blockWeight: has("blkio", "blkio.weight") || has("blkio", "blkio.bfq.weight"),
    blockWeightDevice: has("blkio", "blkio.weight_device") || has("blkio", "blkio.bfq.weight_device"),
    blockReadBytes: has("blkio", "blkio.throttle.read_bps_device"),
    blockWriteBytes: has("blkio", "blkio.throttle.write_bps_device"),
    blockReadOperations: has("blkio", "blkio.throttle.read_iops_device"),
    blockWriteOperations: has("blkio", "blkio.throttle.write_iops_device"),
    cpus: v1.has("cpuset") ? read("cpuset.cpus") : "",
    memoryNodes: v1.has("cpuset") ? read("cpuset.mems") : "",
  };
}

function supportOfV2({ mountPoint, controllers }: NonNullable<CgroupLayout["unified"]>): LimitSupport {
  const [memory, cpu, io, cpuset] = [controllers.has("memory"), controllers.has("cpu"), controllers.has("io"), controllers.has("cpuset")];
  return {
    memory,
    // The root group has no limits of its own: look into the group we are in.
    memorySwap: memory && existsSync(path.join(mountPoint, ownUnifiedGroup(), "memory.swap.max")),
    memoryReservation: memory,
    memorySwappiness: false,
    kernelMemory: false,
    oomKillDisable: false,
    pids: controllers.has("pids"),
    cpuShares: cpu,
    cpuQuota: cpu,
    cpuset,
    blockWeight: io,
    blockWeightDevice: io,
    blockReadBytes: io,
    blockWriteBytes: io,
    blockReadOperations: io,
    blockWriteOperations: io,
    cpus: cpuset ? readIfThere(path.join(mountPoint, "cpuset.cpus.effective")) : "",
    memoryNodes: cpuset ? readIfThere(path.join(mountPoint, "cpuset.mems.effective")) : "",
  };
}

function ownUnifiedGroup(): string {
  return /^0::(.*)$/m.exec(readIfThere("/proc/self/cgroup"))?.[1] ?? "/";
}

function readIfThere(file: string): string {
  try {
    return readFileSync(file, "utf8").trim();
  } catch {
    return "";
  }
}

import path from "node:path";

import type { HostConfig, MountRequest } from "../../api/container-config.ts";
import { EngineError } from "../../base/errors.ts";
import type { BindFacts } from "./bind-sources.ts";
import type { Container, MountPoint } from "./container.ts";
import { namespaceMode } from "./namespace-modes.ts";
import { mergeTmpfsOptions, tmpfsOptionsOfMount } from "./tmpfs-options.ts";

/** An entry of `mounts` of the OCI runtime-spec; made in the order of the list. */
export interface OciMount {
  destination: string;
  type: string;
  source: string;
  options: string[];
}

export interface MountInput {
  container: Pick<Container, "hostConfig" | "mounts">;
  /** Files of the host that appear as these in /etc; absent: the image's own stay. */
  files: NetworkFiles;
  /** Folder of the host with the shared memory of a shareable container, or of the one whose IPC namespace is joined. */
  shmPath: string | undefined;
  /** The init program to put in place, with `--init`. */
  initPath: string | undefined;
  writableCgroups: boolean;
  binds: BindFacts;
  /** The kernel can make a whole tree of mounts read-only (5.12). */
  recursiveReadOnly: boolean;
}

export interface NetworkFiles {
  hosts?: string | undefined;
  hostname?: string | undefined;
  resolvConf?: string | undefined;
}

/** Where `--init` puts the init program. */
export const INIT_PATH_IN_CONTAINER = "/sbin/docker-init";

const STAYS_WRITABLE = new Set(["/proc", "/dev", "/dev/pts", "/dev/shm", "/dev/mqueue"]);

/** All mounts of a container: first the kernel's file systems, then what the user and the network want, outer folders before inner ones. */
export function buildMounts(input: MountInput): OciMount[] {
  const { hostConfig } = input.container;
  const own = userMounts(input).sort((a, b) => depth(a.destination) - depth(b.destination));
  const taken = new Set(own.map((mount) => mount.destination));
  const defaults = defaultMounts(hostConfig, input.writableCgroups).filter(
    ({ destination }) => !taken.has(destination) && !(taken.has("/dev") && destination.startsWith("/dev/")),
  );
  if (hostConfig.ReadonlyRootfs) {
    for (const { destination, options } of defaults) {
      if (!STAYS_WRITABLE.has(destination) && !options.includes("ro")) options.push("ro");
    }
  }
  const init = input.initPath === undefined ? [] : [bindMount(INIT_PATH_IN_CONTAINER, input.initPath, ["bind", "ro"])];
  return [...defaults, ...init, ...own];
}

/** The kernel's own file systems, as every container has them (moby oci/defaults.go). */
function defaultMounts(config: HostConfig, writableCgroups: boolean): OciMount[] {
  const kernelFs = (destination: string, type: string, source: string, ...options: string[]): OciMount => ({
    destination,
    type,
    source,
    options,
  });
  const readOnly = config.Privileged ? [] : ["ro"];
  const mounts = [
    kernelFs("/proc", "proc", "proc", "nosuid", "noexec", "nodev"),
    kernelFs("/dev", "tmpfs", "tmpfs", "nosuid", "strictatime", "mode=755", "size=65536k"),
    kernelFs("/dev/pts", "devpts", "devpts", "nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"),
    kernelFs("/sys", "sysfs", "sysfs", "nosuid", "noexec", "nodev", ...readOnly),
    kernelFs("/sys/fs/cgroup", "cgroup", "cgroup", ...(writableCgroups ? [] : ["ro"]), "nosuid", "noexec", "nodev"),
    kernelFs("/dev/mqueue", "mqueue", "mqueue", "nosuid", "noexec", "nodev"),
  ];
  if (config.IpcMode !== "none") {
    mounts.push(kernelFs("/dev/shm", "tmpfs", "shm", "nosuid", "noexec", "nodev", "mode=1777", `size=${config.ShmSize}`));
  }
  return mounts;
}

function userMounts(input: MountInput): OciMount[] {
  const { hostConfig, mounts } = input.container;
  const requests = new Map((hostConfig.Mounts ?? []).map((request) => [path.posix.resolve(request.Target), request]));
  const result = mounts.map((mount) =>
    mount.type === "tmpfs"
      ? tmpfsMount(mount.destination, tmpfsOptionsOfMount(requests.get(mount.destination)))
      : boundMount(mount, requests.get(mount.destination), input),
  );
  for (const [destination, options] of hostConfig.Tmpfs ?? []) {
    result.push(tmpfsMount(destination, options === "" ? [] : options.split(",")));
  }
  const taken = new Set(result.map((mount) => mount.destination));
  const shm = sharedMemory(hostConfig, input.shmPath);
  const { hosts, hostname, resolvConf } = input.files;
  const readOnly = hostConfig.ReadonlyRootfs ? ["ro"] : [];
  const files: [string, string | undefined, string[]][] = [
    ["/dev/shm", shm, []],
    ["/etc/resolv.conf", resolvConf, readOnly],
    ["/etc/hostname", hostname, readOnly],
    ["/etc/hosts", hosts, readOnly],
  ];
  for (const [destination, source, options] of files) {
    // A bind of the user's over one of them takes its place.
    if (source !== undefined && !taken.has(destination)) result.push(bindMount(destination, source, ["rbind", ...options, "rprivate"]));
  }
  return result;
}

/** The /dev/shm that goes with an IPC namespace that is not the container's alone. */
function sharedMemory(config: HostConfig, shmPath: string | undefined): string | undefined {
  switch (namespaceMode(config.IpcMode)) {
    case "host":
      return "/dev/shm";
    case "container":
      return shmPath;
    case "own":
      return config.IpcMode === "shareable" ? shmPath : undefined;
  }
}

function boundMount(mount: MountPoint, request: MountRequest | undefined, input: MountInput): OciMount {
  if (mount.source === "")
    throw new EngineError("unimplemented", `mounting the ${mount.type} ${mount.name} at ${mount.destination}: not there yet`);
  const bind = request?.BindOptions;
  // crun takes every target of `rro` for a folder; a file has nothing mounted below it.
  const recursive =
    input.recursiveReadOnly && !input.binds.files.has(mount.source) && bind?.ReadOnlyNonRecursive !== true && !mount.isShallow;
  if (mount.readOnly && bind?.ReadOnlyForceRecursive === true && !input.recursiveReadOnly)
    throw new EngineError("invalid", `mounting ${mount.source} read-only with all below: this kernel cannot: Linux 5.12 is needed`);
  // crun's bind mounts may do what the mount of the source may not.
  const restrictions = input.binds.restrictions.get(mount.source) ?? [];
  return bindMount(mount.destination, mount.source, [
    mount.isShallow ? "bind" : "rbind",
    ...restrictions.filter((word) => word !== "ro" || !mount.readOnly),
    ...(mount.readOnly ? [recursive ? "rro" : "ro"] : []),
    mount.propagation === "" ? "rprivate" : mount.propagation,
  ]);
}

function bindMount(destination: string, source: string, options: string[]): OciMount {
  return { destination, type: "bind", source, options };
}

function tmpfsMount(destination: string, options: readonly string[]): OciMount {
  return { destination, type: "tmpfs", source: "tmpfs", options: mergeTmpfsOptions(["noexec", "nosuid", "nodev", "rprivate", ...options]) };
}

function depth(destination: string): number {
  return destination === "/" ? 0 : destination.split("/").length;
}

/** The propagation of the root file system that the binds need: a shared or slave bind says nothing below a private root. */
export function rootPropagation(mounts: readonly MountPoint[]): string | undefined {
  const propagations = new Set(mounts.map((mount) => mount.propagation));
  if (propagations.has("shared") || propagations.has("rshared")) return "shared";
  return propagations.has("slave") || propagations.has("rslave") ? "rslave" : undefined;
}

import { randomUUID } from "node:crypto";
import { readFileSync, readdirSync, statfsSync, writeFileSync } from "node:fs";
import path from "node:path";

import { formatTime, nowNs } from "../../base/time.ts";
import type { HostFacts } from "../../kernel/host.ts";
import type { LayerDriver } from "../../store/layers.ts";
import type { Roots } from "../../store/roots.ts";
import type { ContainerSet } from "../containers/container-set.ts";
import { statusOf } from "../containers/container.ts";
import type { ContainerSettings } from "../containers/context.ts";
import type { Events } from "../events/events.ts";
import type { Images } from "../images/images.ts";
import { type RuntimeVersions, SERVER_VERSION } from "./component-versions.ts";

export interface InfoSources {
  roots: Roots;
  host: HostFacts;
  settings: ContainerSettings;
  registries: { insecure: string[]; mirrors: string[] };
  labels: string[];
  debug: boolean;
  set: ContainerSet;
  images: Images;
  layers: Pick<LayerDriver, "name">;
  events: Events;
}

/** What does not change while the daemon runs. */
export interface FixedFacts {
  daemonId: string;
  osVersion: string;
  /** Docker's name of the file system under the data root. */
  backingFileSystem: string;
}

export function readFixedFacts(roots: Roots): FixedFacts {
  return { daemonId: daemonId(roots), osVersion: osVersion(), backingFileSystem: fileSystemOf(roots.data) };
}

/** Docker's name for the machine hardware, as `uname -m` says it. */
const MACHINE: Readonly<Record<string, string>> = { amd64: "x86_64", arm64: "aarch64" };

/** What Docker says of its driver of that name. */
function overlayStatus(fixed: FixedFacts): string[][] {
  return [
    ["Backing Filesystem", fixed.backingFileSystem],
    ["Supports d_type", "true"],
    ["Using metacopy", "false"],
    ["Native Overlay Diff", "true"],
    ["userxattr", "false"],
  ];
}

/** `GET /info` (Engine API 1.50, SystemInfo). */
export function systemInfo(sources: InfoSources, fixed: FixedFacts, versions: RuntimeVersions): Record<string, unknown> {
  const { host, settings, roots, registries } = sources;
  const { limits } = host;
  const statuses = sources.set.all().map(statusOf);
  const count = (...wanted: string[]): number => statuses.filter((status) => wanted.includes(status)).length;
  return {
    ID: fixed.daemonId,
    Containers: statuses.length,
    ContainersRunning: count("running"),
    ContainersPaused: count("paused"),
    ContainersStopped: statuses.length - count("running", "paused"),
    Images: sources.images.list({ filters: new Map(), all: true }).length,
    Driver: sources.layers.name,
    DriverStatus: sources.layers.name === "overlay2" ? overlayStatus(fixed) : [],
    Plugins: { Volume: ["local"], Network: ["bridge", "host", "null"], Authorization: null, Log: ["json-file"] },
    MemoryLimit: limits.memory,
    SwapLimit: limits.memorySwap,
    // The OCI runtimes no longer set it.
    KernelMemoryTCP: false,
    CpuCfsPeriod: limits.cpuQuota,
    CpuCfsQuota: limits.cpuQuota,
    CPUShares: limits.cpuShares,
    CPUSet: limits.cpuset,
    PidsLimit: limits.pids,
    // Forwarding is switched on for each bridge and uplink, whatever the global switch says.
    IPv4Forwarding: true,
    Debug: sources.debug,
    NFd: readdirSync("/proc/self/fd").length,
    OomKillDisable: limits.oomKillDisable,
    NGoroutines: readdirSync("/proc/self/task").length,
    SystemTime: formatTime(nowNs()),
    LoggingDriver: settings.logs.type,
    CgroupDriver: "cgroupfs",
    CgroupVersion: host.cgroups.mode === "v2" ? "2" : "1",
    NEventsListener: sources.events.listenerCount(),
    KernelVersion: host.kernelRelease,
    OperatingSystem: host.operatingSystem,
    OSVersion: fixed.osVersion,
    OSType: "linux",
    Architecture: MACHINE[host.architecture] ?? host.architecture,
    IndexServerAddress: "https://index.docker.io/v1/",
    RegistryConfig: registryConfig(registries),
    NCPU: host.cpuCount,
    MemTotal: host.memoryTotalBytes,
    GenericResources: null,
    DockerRootDir: roots.data,
    HttpProxy: proxy("HTTP_PROXY"),
    HttpsProxy: proxy("HTTPS_PROXY"),
    NoProxy: proxy("NO_PROXY"),
    Name: host.hostname,
    Labels: sources.labels,
    ExperimentalBuild: false,
    ServerVersion: SERVER_VERSION,
    Runtimes: Object.fromEntries(
      [...settings.runtimes].map(([name, runtime]) => [
        name,
        { path: runtime.path, ...(runtime.args.length === 0 ? {} : { runtimeArgs: runtime.args }) },
      ]),
    ),
    DefaultRuntime: settings.defaultRuntime,
    Swarm: { NodeID: "", NodeAddr: "", LocalNodeState: "inactive", ControlAvailable: false, Error: "", RemoteManagers: null },
    // Containers always outlive the daemon.
    LiveRestoreEnabled: true,
    Isolation: "",
    InitBinary: settings.initPath === undefined ? "" : path.basename(settings.initPath),
    ContainerdCommit: { ID: "" },
    // The member is older than the choice of a runtime: it tells of the one that is used.
    RuncCommit: { ID: versions.get(settings.defaultRuntime)?.commit ?? "" },
    InitCommit: { ID: "" },
    SecurityOptions: securityOptions(host, settings.defaults),
    FirewallBackend: { Driver: "nftables" },
    CDISpecDirs: [],
    Warnings: warnings(host),
  };
}

/** The daemon's id, made once per data root. */
function daemonId(roots: Roots): string {
  const file = path.join(roots.data, "engine-id");
  try {
    return readFileSync(file, "utf8").trim();
  } catch {
    const id = randomUUID();
    writeFileSync(file, `${id}\n`, { mode: 0o600 });
    return id;
  }
}

function registryConfig({ insecure, mirrors }: InfoSources["registries"]): Record<string, unknown> {
  const hosts = insecure.filter((entry) => !entry.includes("/"));
  const blocks = insecure.filter((entry) => entry.includes("/"));
  const index = (name: string, secure: boolean, own: string[]): Record<string, unknown> => ({
    Name: name,
    Mirrors: own,
    Secure: secure,
    Official: name === "docker.io",
  });
  return {
    InsecureRegistryCIDRs: ["::1/128", "127.0.0.0/8", ...blocks],
    IndexConfigs: {
      "docker.io": index("docker.io", true, mirrors),
      ...Object.fromEntries(hosts.map((host) => [host, index(host, false, [])])),
    },
    Mirrors: mirrors.length === 0 ? null : mirrors,
  };
}

function securityOptions(host: HostFacts, { seccompProfile, noNewPrivileges }: ContainerSettings["defaults"]): string[] {
  return [
    ...(host.appArmor === undefined ? [] : ["name=apparmor"]),
    ...(host.seccomp ? [`name=seccomp,profile=${seccompProfile.kind}`] : []),
    ...(host.seLinux ? ["name=selinux"] : []),
    ...(host.cgroups.mode === "v2" ? ["name=cgroupns"] : []),
    ...(noNewPrivileges ? ["name=no-new-privileges"] : []),
  ];
}

/** In Docker's words (moby daemon/info_unix.go). */
function warnings({ limits, cgroups }: HostFacts): string[] | null {
  const found: string[] = [];
  if (!limits.memory) found.push("WARNING: No memory limit support");
  if (!limits.memorySwap) found.push("WARNING: No swap limit support");
  if (!limits.oomKillDisable && cgroups.mode !== "v2") found.push("WARNING: No oom kill disable support");
  if (!limits.cpuQuota) found.push("WARNING: No cpu cfs quota support", "WARNING: No cpu cfs period support");
  if (!limits.cpuShares) found.push("WARNING: No cpu shares support");
  if (!limits.cpuset) found.push("WARNING: No cpuset support");
  if (!limits.blockWeight) found.push("WARNING: No blkio weight support");
  if (!limits.blockWeightDevice) found.push("WARNING: No blkio weight_device support");
  return found.length === 0 ? null : found;
}

/** A setting of the environment, without the password that may be in it. */
function proxy(name: string): string {
  const value = process.env[name] ?? process.env[name.toLowerCase()] ?? "";
  return value.replace(/^([a-z][a-z0-9+.-]*:\/\/)[^/@]*@/i, "$1xxxxx:xxxxx@");
}

function osVersion(): string {
  try {
    return /^VERSION_ID="?([^"\n]*)/m.exec(readFileSync("/etc/os-release", "utf8"))?.[1] ?? "";
  } catch {
    return "";
  }
}

/** By the magic numbers of statfs(2), in dockerd's words (moby daemon/graphdriver). */
const FILE_SYSTEMS: ReadonlyMap<number, string> = new Map([
  [0xef53, "extfs"],
  [0x58465342, "xfs"],
  [0x9123683e, "btrfs"],
  [0x01021994, "tmpfs"],
  [0x794c7630, "overlayfs"],
  [0x2fc12fc1, "zfs"],
  [0xf2f52010, "f2fs"],
]);

function fileSystemOf(folder: string): string {
  // The magic number is unsigned; Node hands on a signed word.
  return FILE_SYSTEMS.get(statfsSync(folder).type >>> 0) ?? "<unknown>";
}

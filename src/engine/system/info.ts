import { randomUUID } from "node:crypto";
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import path from "node:path";

import { VERSION } from "../../base/version.ts";
import { formatTime, nowNs } from "../../base/time.ts";
import type { HostFacts } from "../../kernel/host.ts";
import type { Roots } from "../../store/roots.ts";
import type { ContainerSet } from "../containers/container-set.ts";
import { statusOf } from "../containers/container.ts";
import type { ContainerSettings } from "../containers/context.ts";
import type { Images } from "../images/images.ts";

export interface InfoSources {
  roots: Roots;
  host: HostFacts;
  settings: ContainerSettings;
  registries: { insecure: string[]; mirrors: string[] };
  labels: string[];
  debug: boolean;
  set: ContainerSet;
  images: Images;
}

/** Docker's name for the machine hardware, as `uname -m` says it. */
const MACHINE: Readonly<Record<string, string>> = { amd64: "x86_64", arm64: "aarch64" };

/** `GET /info` (Engine API 1.50, SystemInfo). */
export function systemInfo(sources: InfoSources): Record<string, unknown> {
  const { host, settings, roots, registries } = sources;
  const { limits } = host;
  const statuses = sources.set.all().map(statusOf);
  const count = (...wanted: string[]): number => statuses.filter((status) => wanted.includes(status)).length;
  return {
    ID: daemonId(roots),
    Containers: statuses.length,
    ContainersRunning: count("running"),
    ContainersPaused: count("paused"),
    ContainersStopped: statuses.length - count("running", "paused"),
    Images: sources.images.list({ filters: new Map(), all: true }).length,
    // Docker's name for layers kept by the kernel's overlay file system: tools look for it.
    Driver: "overlay2",
    DriverStatus: [
      ["Backing Filesystem", "extfs"],
      ["Supports d_type", "true"],
      ["Native Overlay Diff", "true"],
      ["userxattr", "false"],
    ],
    Plugins: { Volume: ["local"], Network: ["bridge", "host", "null"], Authorization: null, Log: ["json-file"] },
    MemoryLimit: limits.memory,
    SwapLimit: limits.memorySwap,
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
    NEventsListener: 0,
    KernelVersion: host.kernelRelease,
    OperatingSystem: host.operatingSystem,
    OSVersion: osVersion(),
    OSType: "linux",
    Architecture: MACHINE[host.architecture] ?? host.architecture,
    IndexServerAddress: "https://index.docker.io/v1/",
    RegistryConfig: registryConfig(registries),
    NCPU: host.cpuCount,
    MemTotal: host.memoryTotalBytes,
    GenericResources: null,
    DockerRootDir: roots.data,
    HttpProxy: process.env["HTTP_PROXY"] ?? "",
    HttpsProxy: process.env["HTTPS_PROXY"] ?? "",
    NoProxy: process.env["NO_PROXY"] ?? "",
    Name: host.hostname,
    Labels: sources.labels,
    ExperimentalBuild: false,
    ServerVersion: VERSION,
    Runtimes: Object.fromEntries([...settings.runtimes].map(([name, runtime]) => [name, { path: runtime.path }])),
    DefaultRuntime: settings.defaultRuntime,
    Swarm: { NodeID: "", NodeAddr: "", LocalNodeState: "inactive", ControlAvailable: false, Error: "", RemoteManagers: null },
    // Containers always outlive the daemon.
    LiveRestoreEnabled: true,
    Isolation: "",
    InitBinary: settings.initPath === undefined ? "" : path.basename(settings.initPath),
    ContainerdCommit: { ID: "" },
    RuncCommit: { ID: "" },
    InitCommit: { ID: "" },
    SecurityOptions: securityOptions(host),
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

function securityOptions(host: HostFacts): string[] {
  return [
    ...(host.appArmor === undefined ? [] : ["name=apparmor"]),
    ...(host.seccomp ? ["name=seccomp,profile=builtin"] : []),
    ...(host.seLinux ? ["name=selinux"] : []),
    ...(host.cgroups.mode === "v2" ? ["name=cgroupns"] : []),
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

function osVersion(): string {
  try {
    return /^VERSION_ID="?([^"\n]*)/m.exec(readFileSync("/etc/os-release", "utf8"))?.[1] ?? "";
  } catch {
    return "";
  }
}

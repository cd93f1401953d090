import { existsSync, readFileSync } from "node:fs";
import os from "node:os";

import { readCgroupLayout, readLimitSupport, type CgroupLayout, type LimitSupport } from "./cgroup-layout.ts";

/**
 * What there is to know of the host, read once when the daemon comes up. Everything that decides what a container is made of gets it from
 * here, so that the deciding functions stay pure.
 */
export interface HostFacts {
  hostname: string;
  /** Go's name, as images and seccomp profiles have it: `amd64`, `arm64`. */
  architecture: string;
  /** `6.18.44-fc-v769` */
  kernelRelease: string;
  kernel: { major: number; minor: number };
  /** `Debian GNU/Linux 12 (bookworm)` */
  operatingSystem: string;
  cpuCount: number;
  memoryTotalBytes: number;
  cgroups: CgroupLayout;
  limits: LimitSupport;
  /** Capabilities we hold, and so can give: `CAP_CHOWN`, … */
  capabilities: ReadonlySet<string>;
  seccomp: boolean;
  /** Undefined where the kernel has no AppArmor. */
  appArmor: { profiles: ReadonlySet<string> } | undefined;
  seLinux: boolean;
  cgroupNamespaces: boolean;
  /** Reading them tells of the load on the host's cores (GHSA-6fw5-f8r9-fgfm). */
  thermalThrottlePaths: readonly string[];
  /** Which of the sysctls that a container gets by default the kernel knows. */
  sysctls: ReadonlySet<string>;
  /** Hard limit of open files: nobody we start can have more. */
  openFilesHardLimit: number;
  /** Our own `oom_score_adj`; without CAP_SYS_RESOURCE nobody we start can have a lower one. */
  oomScoreAdj: number;
}

/** Sysctls that make the dropped capabilities of a network namespace painless (moby daemon/oci_linux.go). */
export const UNPRIVILEGED_NETWORK_SYSCTLS: ReadonlyMap<string, string> = new Map([
  ["net.ipv4.ip_unprivileged_port_start", "0"],
  ["net.ipv4.ping_group_range", "0 2147483647"],
]);

export function readHostFacts(cgroups: CgroupLayout = readCgroupLayout()): HostFacts {
  const status = readIfThere("/proc/self/status");
  const kernelRelease = os.release();
  return {
    hostname: os.hostname(),
    architecture: goArchitecture(os.arch()),
    kernelRelease,
    kernel: parseKernelVersion(kernelRelease),
    operatingSystem: parseOperatingSystem(readIfThere("/etc/os-release") || readIfThere("/usr/lib/os-release")),
    cpuCount: os.availableParallelism(),
    memoryTotalBytes: os.totalmem(),
    cgroups,
    limits: readLimitSupport(cgroups),
    capabilities: parseCapabilities(/^CapEff:\s*([0-9a-f]+)/m.exec(status)?.[1] ?? "0"),
    seccomp: /^Seccomp:/m.test(status),
    appArmor: readAppArmor(),
    seLinux: existsSync("/sys/fs/selinux/enforce"),
    cgroupNamespaces: existsSync("/proc/self/ns/cgroup"),
    thermalThrottlePaths: findThermalThrottles(os.cpus().length),
    sysctls: new Set([...UNPRIVILEGED_NETWORK_SYSCTLS.keys()].filter((name) => existsSync(`/proc/sys/${name.replaceAll(".", "/")}`))),
    openFilesHardLimit: parseHardLimit(readIfThere("/proc/self/limits"), "Max open files"),
    oomScoreAdj: Number(readIfThere("/proc/self/oom_score_adj")),
  };
}

/** All capabilities that Linux has, in the order of their numbers (include/uapi/linux/capability.h). */
export const CAPABILITIES: readonly string[] = (
  "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE NET_BROADCAST NET_ADMIN " +
  "NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME " +
  "SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE"
)
  .split(" ")
  .map((name) => `CAP_${name}`);

/** The names of a capability set as /proc writes it. */
export function parseCapabilities(hex: string): Set<string> {
  const bits = BigInt(`0x${hex}`);
  return new Set(CAPABILITIES.filter((_, number) => (bits & (1n << BigInt(number))) !== 0n));
}

/** Major and minor of `6.18.44-fc`, `3.12-rc5`, …; 0.0 for what is no version. */
export function parseKernelVersion(release: string): { major: number; minor: number } {
  const [, major = "0", minor = "0"] = /^(\d+)\.(\d+)/.exec(release) ?? [];
  return { major: Number(major), minor: Number(minor) };
}

export function kernelIsAtLeast(kernel: { major: number; minor: number }, major: number, minor: number): boolean {
  return kernel.major > major || (kernel.major === major && kernel.minor >= minor);
}

/** Node's name of an architecture to Go's. */
export function goArchitecture(nodeArchitecture: string): string {
  const names: Record<string, string> = { x64: "amd64", ia32: "386", ppc64: "ppc64le", mipsel: "mipsle", loong64: "loong64" };
  return names[nodeArchitecture] ?? nodeArchitecture;
}

function parseOperatingSystem(osRelease: string): string {
  return /^PRETTY_NAME="?([^"\n]*)"?$/m.exec(osRelease)?.[1] ?? "Linux";
}

/** A row of /proc/PID/limits: `Max open files  1024  524288  files`. */
export function parseHardLimit(limits: string, name: string): number {
  const row = limits.split("\n").find((line) => line.startsWith(name));
  const hard = row?.slice(name.length).trim().split(/\s+/)[1];
  return hard === undefined || hard === "unlimited" ? Number.MAX_SAFE_INTEGER : Number(hard);
}

function readAppArmor(): HostFacts["appArmor"] {
  if (readIfThere("/sys/module/apparmor/parameters/enabled").trim() !== "Y") return undefined;
  const profiles = readIfThere("/sys/kernel/security/apparmor/profiles");
  return { profiles: new Set(profiles.split("\n").map((line) => line.replace(/ \(\w+\)$/, ""))) };
}

function findThermalThrottles(cpuCount: number): string[] {
  const candidates = Array.from({ length: cpuCount }, (_, cpu) => `/sys/devices/system/cpu/cpu${cpu}/thermal_throttle`);
  return candidates.filter((candidate) => existsSync(candidate));
}

function readIfThere(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}

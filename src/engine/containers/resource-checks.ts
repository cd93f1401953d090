import type { Int64 } from "../../api/decode.ts";
import type { HostConfig } from "../../api/container-config.ts";
import { EngineError } from "../../base/errors.ts";
import type { HostFacts } from "../../kernel/host.ts";
import { parseNumberList } from "./number-lists.ts";

/** Less than this and not even an init would start (moby linuxMinMemory). */
const MEMORY_MINIMUM_BYTES = 6 * 1024 * 1024;

/**
 * Limits, checked in Docker's order and words (moby daemon/daemon_unix.go, verifyPlatformContainerResources). What is plainly wrong is
 * refused; what this kernel cannot do is taken out, with a warning. Gives back the limits as they will hold. `update`: of a container
 * that exists, whose other limits stay.
 */
export function checkResources<T extends HostConfig>(asked: T, host: HostFacts, update = false): { resources: T; warnings: string[] } {
  const resources = { ...asked };
  const warnings: string[] = [];
  checkRealtime(resources);
  checkMemory(resources, host, warnings, update);
  checkProcesses(resources, host, warnings);
  checkCpu(resources, host, warnings);
  checkCpuset(resources, host, warnings);
  checkBlockIo(resources, host, warnings);
  checkUlimits(resources);
  return { resources, warnings };
}

function checkRealtime(resources: HostConfig): void {
  const { CpuRealtimePeriod: period, CpuRealtimeRuntime: runtime, CpuShares: shares } = resources;
  if (period > 0 && runtime > 0 && runtime > period) throw invalid("cpu real-time runtime cannot be higher than cpu real-time period");
  if (shares < 0) throw invalid(`invalid CPU shares (${shares}): value must be a positive integer`);
}

function checkMemory(resources: HostConfig, { limits }: HostFacts, warnings: string[], update: boolean): void {
  // -1: leave it to the kernel.
  if (resources.MemorySwappiness !== undefined && resources.MemorySwappiness < 0 && resources.MemorySwappiness >= -1) {
    resources.MemorySwappiness = undefined;
  }
  if (!isZero(resources.Memory) && resources.Memory < MEMORY_MINIMUM_BYTES) throw invalid("Minimum memory limit allowed is 6MB");
  if (resources.Memory > 0 && !limits.memory) {
    warnings.push(unsupported("memory limit capabilities", "Limitation discarded."));
    resources.Memory = 0;
    resources.MemorySwap = -1;
  }
  if (resources.Memory > 0 && !isMinusOne(resources.MemorySwap) && !limits.memorySwap) {
    warnings.push(unsupported("swap limit capabilities", "Memory limited without swap."));
    resources.MemorySwap = -1;
  }
  if (resources.Memory > 0 && resources.MemorySwap > 0 && resources.MemorySwap < resources.Memory) {
    throw invalid("Minimum memoryswap limit should be larger than memory limit, see usage");
  }
  if (isZero(resources.Memory) && resources.MemorySwap > 0 && !update) {
    throw invalid("You should always set the Memory limit when using Memoryswap limit, see usage");
  }
  if (resources.MemorySwappiness !== undefined && !limits.memorySwappiness) {
    warnings.push(unsupported("memory swappiness capabilities", "Memory swappiness discarded."));
    resources.MemorySwappiness = undefined;
  }
  if (resources.MemorySwappiness !== undefined && (resources.MemorySwappiness < 0 || resources.MemorySwappiness > 100)) {
    throw invalid(`Invalid value: ${resources.MemorySwappiness}, valid memory swappiness range is 0-100`);
  }
  if (resources.MemoryReservation > 0 && !limits.memoryReservation) {
    warnings.push(unsupported("memory soft limit capabilities", "Limitation discarded."));
    resources.MemoryReservation = 0;
  }
  if (resources.MemoryReservation > 0 && resources.MemoryReservation < MEMORY_MINIMUM_BYTES) {
    throw invalid("Minimum memory reservation allowed is 6MB");
  }
  if (resources.Memory > 0 && resources.MemoryReservation > 0 && resources.Memory < resources.MemoryReservation) {
    throw invalid("Minimum memory limit can not be less than memory reservation limit, see usage");
  }
  // Gone from the API in 1.42, and from the kernel: taken and forgotten, as Docker does now.
  resources.KernelMemory = 0;
}

function checkProcesses(resources: HostConfig, { limits }: HostFacts, warnings: string[]): void {
  if (resources.OomKillDisable !== undefined && !limits.oomKillDisable) {
    if (resources.OomKillDisable) warnings.push("Your kernel does not support OomKillDisable. OomKillDisable discarded.");
    resources.OomKillDisable = undefined;
  }
  if (resources.OomKillDisable === true && isZero(resources.Memory)) {
    const risk = "this can result in the system running out of resources.";
    warnings.push(`OOM killer is disabled for the container, but no memory limit is set, ${risk}`);
  }
  if (resources.PidsLimit !== undefined && resources.PidsLimit > 0 && !limits.pids) {
    warnings.push(unsupported("PIDs limit capabilities", "PIDs limit discarded."));
    resources.PidsLimit = undefined;
  }
  if (resources.PidsLimit !== undefined && resources.PidsLimit <= 0) resources.PidsLimit = undefined;
}

function checkCpu(resources: HostConfig, { limits, cpuCount }: HostFacts, warnings: string[]): void {
  if (resources.NanoCpus > 0 && resources.CpuPeriod > 0) throw invalid("Conflicting options: Nano CPUs and CPU Period cannot both be set");
  if (resources.NanoCpus > 0 && resources.CpuQuota > 0) throw invalid("Conflicting options: Nano CPUs and CPU Quota cannot both be set");
  if (resources.NanoCpus > 0 && !limits.cpuQuota) {
    throw invalid("NanoCPUs can not be set, as your kernel does not support CPU CFS scheduler or the cgroup is not mounted");
  }
  if (resources.NanoCpus < 0 || BigInt(resources.NanoCpus) > BigInt(cpuCount) * 1_000_000_000n) {
    throw invalid(`range of CPUs is from 0.01 to ${cpuCount}.00, as there are only ${cpuCount} CPUs available`);
  }
  if (resources.CpuShares > 0 && !limits.cpuShares) {
    warnings.push("Your kernel does not support CPU shares or the cgroup is not mounted. Shares discarded.");
    resources.CpuShares = 0;
  }
  if ((!isZero(resources.CpuPeriod) || !isZero(resources.CpuQuota)) && !limits.cpuQuota) {
    warnings.push("Your kernel does not support CPU CFS scheduler. CPU period/quota discarded.");
    resources.CpuPeriod = 0;
    resources.CpuQuota = 0;
  }
  if (!isZero(resources.CpuPeriod) && (resources.CpuPeriod < 1000 || resources.CpuPeriod > 1_000_000)) {
    throw invalid("CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)");
  }
  if (resources.CpuQuota > 0 && resources.CpuQuota < 1000) throw invalid("CPU cfs quota can not be less than 1ms (i.e. 1000)");
  if (resources.CpuPercent > 0) {
    warnings.push("linux does not support CPU percent. Percent discarded.");
    resources.CpuPercent = 0;
  }
}

function checkCpuset(resources: HostConfig, { limits }: HostFacts, warnings: string[]): void {
  if ((resources.CpusetCpus !== "" || resources.CpusetMems !== "") && !limits.cpuset) {
    warnings.push("Your kernel does not support cpuset or the cgroup is not mounted. Cpuset discarded.");
    resources.CpusetCpus = "";
    resources.CpusetMems = "";
  }
  checkAvailable(resources.CpusetCpus, limits.cpus, { option: "cpuset cpus", things: "CPUs" });
  checkAvailable(resources.CpusetMems, limits.memoryNodes, { option: "cpuset mems", things: "memory nodes" });
}

function checkAvailable(requested: string, available: string, { option, things }: { option: string; things: string }): void {
  const wanted = parseNumberList(requested);
  if (wanted === undefined) throw invalid(`Invalid value ${requested} for ${option}: invalid format: ${requested}`);
  const there = parseNumberList(available) ?? new Set();
  if ([...wanted].every((number) => there.has(number))) return;
  throw invalid(`Requested ${things} are not available - requested ${requested}, available: ${available}`);
}

function checkBlockIo(resources: HostConfig, { limits }: HostFacts, warnings: string[]): void {
  if (resources.BlkioWeight > 0 && !limits.blockWeight) {
    warnings.push("Your kernel does not support Block I/O weight or the cgroup is not mounted. Weight discarded.");
    resources.BlkioWeight = 0;
  }
  if (resources.BlkioWeight !== 0 && (resources.BlkioWeight < 10 || resources.BlkioWeight > 1000)) {
    throw invalid("Range of blkio weight is from 10 to 1000");
  }
  if (!isZero(resources.IOMaximumBandwidth)) {
    throw invalid("invalid option: QoS maximum bandwidth configuration is not supported on linux");
  }
  if (!isZero(resources.IOMaximumIOps)) throw invalid("invalid option: QoS maximum IOPs configuration is not supported on linux");
  const lists = [
    ["BlkioWeightDevice", limits.blockWeightDevice, "Block I/O weight_device", "Weight-device discarded."],
    ["BlkioDeviceReadBps", limits.blockReadBytes, "BPS Block I/O read limit", "Block I/O BPS read limit discarded."],
    ["BlkioDeviceWriteBps", limits.blockWriteBytes, "BPS Block I/O write limit", "Block I/O BPS write limit discarded."],
    ["BlkioDeviceReadIOps", limits.blockReadOperations, "IOPS Block read limit", "Block I/O IOPS read limit discarded."],
    ["BlkioDeviceWriteIOps", limits.blockWriteOperations, "IOPS Block write limit", "Block I/O IOPS write limit discarded."],
  ] as const;
  for (const [field, isSupported, what, consequence] of lists) {
    if ((resources[field]?.length ?? 0) === 0 || isSupported) continue;
    warnings.push(`Your kernel does not support ${what} or the cgroup is not mounted. ${consequence}`);
    resources[field] = [];
  }
}

/** Names of setrlimit(2) that Docker takes (go-units ulimit.go). */
const ULIMITS = new Set("core cpu data fsize locks memlock msgqueue nice nofile nproc rss rtprio rttime sigpending stack".split(" "));

function checkUlimits(resources: HostConfig): void {
  for (const { Name, Soft, Hard } of resources.Ulimits ?? []) {
    if (!ULIMITS.has(Name)) throw invalid(`invalid ulimit type: ${Name}`);
    if (isMinusOne(Hard) || (!isMinusOne(Soft) && Soft <= Hard)) continue;
    const difference = isMinusOne(Soft) ? `soft: -1 (unlimited), hard: ${Hard}` : `${Soft} > ${Hard}`;
    throw invalid(`ulimit soft limit must be less than or equal to hard limit: ${difference}`);
  }
}

function unsupported(what: string, consequence: string): string {
  return `Your kernel does not support ${what} or the cgroup is not mounted. ${consequence}`;
}

function invalid(message: string): EngineError {
  return new EngineError("invalid", message);
}

function isZero(value: Int64): boolean {
  return value === 0 || value === 0n;
}

function isMinusOne(value: Int64): boolean {
  return value === -1 || value === -1n;
}

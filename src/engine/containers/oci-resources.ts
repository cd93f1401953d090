import type { Int64 } from "../../api/decode.ts";
import type { HostConfig } from "../../api/container-config.ts";
import { invariant } from "../../base/errors.ts";
import type { DeviceFacts, DeviceNumber } from "./host-devices.ts";
import type { OciDeviceRule } from "./oci-devices.ts";

/** `linux.resources` of the OCI runtime-spec: the limits. The runtime turns them into what cgroup v1 or v2 calls them. */
export interface OciResources {
  devices: OciDeviceRule[];
  memory?: {
    limit?: Int64;
    reservation?: Int64;
    /** Memory and swap together. */
    swap?: Int64;
    kernel?: Int64;
    kernelTCP?: Int64;
    swappiness?: Int64;
    disableOOMKiller?: boolean;
  };
  cpu?: {
    shares?: Int64;
    quota?: Int64;
    period?: Int64;
    realtimeRuntime?: Int64;
    realtimePeriod?: Int64;
    cpus?: string;
    mems?: string;
  };
  pids?: { limit: Int64 };
  blockIO?: {
    weight?: number;
    weightDevice?: (DeviceNumber & { weight: number })[];
    throttleReadBpsDevice?: Throttle[];
    throttleWriteBpsDevice?: Throttle[];
    throttleReadIOPSDevice?: Throttle[];
    throttleWriteIOPSDevice?: Throttle[];
  };
}

type Throttle = DeviceNumber & { rate: Int64 };

/** The period in which `--cpus` is measured out (moby: 100 ms). */
const CPU_PERIOD_MICROSECONDS = 100_000n;

export function buildResources(hostConfig: HostConfig, devices: OciDeviceRule[], facts: DeviceFacts): OciResources {
  const memory = buildMemory(hostConfig);
  const cpu = buildCpu(hostConfig);
  const blockIO = buildBlockIo(hostConfig, facts);
  const pidsLimit = hostConfig.PidsLimit ?? 0;
  return {
    devices,
    ...(isEmpty(memory) ? {} : { memory }),
    ...(isEmpty(cpu) ? {} : { cpu }),
    ...(pidsLimit > 0 ? { pids: { limit: pidsLimit } } : {}),
    ...(isEmpty(blockIO) ? {} : { blockIO }),
  };
}

function buildMemory(config: HostConfig): NonNullable<OciResources["memory"]> {
  return {
    ...(config.Memory > 0 ? { limit: config.Memory } : {}),
    ...(config.MemoryReservation > 0 ? { reservation: config.MemoryReservation } : {}),
    ...(config.MemorySwap > 0 ? { swap: config.MemorySwap } : {}),
    ...(config.KernelMemory > 0 ? { kernel: config.KernelMemory } : {}),
    ...(config.KernelMemoryTCP > 0 ? { kernelTCP: config.KernelMemoryTCP } : {}),
    ...(config.MemorySwappiness === undefined ? {} : { swappiness: config.MemorySwappiness }),
    ...(config.OomKillDisable === true ? { disableOOMKiller: true } : {}),
  };
}

function buildCpu(config: HostConfig): NonNullable<OciResources["cpu"]> {
  const nanoCpus = BigInt(config.NanoCpus);
  return {
    ...(config.CpuShares > 0 ? { shares: config.CpuShares } : {}),
    ...(nanoCpus > 0n
      ? { period: Number(CPU_PERIOD_MICROSECONDS), quota: Number((nanoCpus * CPU_PERIOD_MICROSECONDS) / 1_000_000_000n) }
      : {}),
    ...(isZero(config.CpuPeriod) ? {} : { period: config.CpuPeriod }),
    ...(isZero(config.CpuQuota) ? {} : { quota: config.CpuQuota }),
    ...(isZero(config.CpuRealtimePeriod) ? {} : { realtimePeriod: config.CpuRealtimePeriod }),
    ...(isZero(config.CpuRealtimeRuntime) ? {} : { realtimeRuntime: config.CpuRealtimeRuntime }),
    ...(config.CpusetCpus === "" ? {} : { cpus: config.CpusetCpus }),
    ...(config.CpusetMems === "" ? {} : { mems: config.CpusetMems }),
  };
}

function buildBlockIo(config: HostConfig, facts: DeviceFacts): NonNullable<OciResources["blockIO"]> {
  const numberOf = (path: string): DeviceNumber => {
    const number = facts.blockNumbers.get(path);
    invariant(number !== undefined, `the number of ${path} was looked up`);
    return number;
  };
  const throttles = (list: { Path: string; Rate: Int64 }[] | undefined): Throttle[] | undefined =>
    list && list.length > 0 ? list.map(({ Path, Rate }) => ({ ...numberOf(Path), rate: Rate })) : undefined;
  const weights = config.BlkioWeightDevice?.map(({ Path, Weight }) => ({ ...numberOf(Path), weight: Weight })) ?? [];
  const [readBps, writeBps] = [throttles(config.BlkioDeviceReadBps), throttles(config.BlkioDeviceWriteBps)];
  const [readIops, writeIops] = [throttles(config.BlkioDeviceReadIOps), throttles(config.BlkioDeviceWriteIOps)];
  return {
    ...(config.BlkioWeight > 0 ? { weight: config.BlkioWeight } : {}),
    ...(weights.length > 0 ? { weightDevice: weights } : {}),
    ...(readBps ? { throttleReadBpsDevice: readBps } : {}),
    ...(writeBps ? { throttleWriteBpsDevice: writeBps } : {}),
    ...(readIops ? { throttleReadIOPSDevice: readIops } : {}),
    ...(writeIops ? { throttleWriteIOPSDevice: writeIops } : {}),
  };
}

function isZero(value: Int64): boolean {
  return value === 0 || value === 0n;
}

function isEmpty(object: object): boolean {
  return Object.keys(object).length === 0;
}

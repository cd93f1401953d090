import type { ContainerConfig, HostConfig } from "../../api/container-config.ts";

/** A config in the shape of Engine API 1.50, ContainerConfig: members in Docker's order, `null` and absence where Docker has them. */
export function configJson(config: ContainerConfig): Record<string, unknown> {
  const { Healthcheck: healthcheck } = config;
  return {
    Hostname: config.Hostname,
    Domainname: config.Domainname,
    User: config.User,
    AttachStdin: config.AttachStdin,
    AttachStdout: config.AttachStdout,
    AttachStderr: config.AttachStderr,
    ...((config.ExposedPorts?.size ?? 0) > 0 ? { ExposedPorts: sortedObject(config.ExposedPorts) } : {}),
    Tty: config.Tty,
    OpenStdin: config.OpenStdin,
    StdinOnce: config.StdinOnce,
    Env: config.Env ?? null,
    Cmd: config.Cmd ?? null,
    ...(healthcheck === undefined ? {} : { Healthcheck: withoutZeros(healthcheck) }),
    ...(config.ArgsEscaped ? { ArgsEscaped: true } : {}),
    Image: config.Image,
    Volumes: sortedObject(config.Volumes) ?? null,
    WorkingDir: config.WorkingDir,
    Entrypoint: config.Entrypoint ?? null,
    ...(config.NetworkDisabled ? { NetworkDisabled: true } : {}),
    ...(config.MacAddress === "" ? {} : { MacAddress: config.MacAddress }),
    OnBuild: config.OnBuild ?? null,
    Labels: sortedObject(config.Labels) ?? {},
    ...(config.StopSignal === "" ? {} : { StopSignal: config.StopSignal }),
    ...(config.StopTimeout === undefined ? {} : { StopTimeout: config.StopTimeout }),
    ...((config.Shell?.length ?? 0) > 0 ? { Shell: config.Shell } : {}),
  };
}

/** Settings in the shape of Engine API 1.50, HostConfig. */
export function hostConfigJson(config: HostConfig, links: readonly string[] = []): Record<string, unknown> {
  return {
    Binds: config.Binds ?? null,
    ContainerIDFile: config.ContainerIDFile,
    LogConfig: { Type: config.LogConfig.Type, Config: sortedObject(config.LogConfig.Config) },
    NetworkMode: config.NetworkMode,
    PortBindings: config.PortBindings === undefined ? null : portBindingsJson(config.PortBindings),
    RestartPolicy: config.RestartPolicy,
    AutoRemove: config.AutoRemove,
    VolumeDriver: config.VolumeDriver,
    VolumesFrom: config.VolumesFrom ?? null,
    ConsoleSize: config.ConsoleSize ?? [0, 0],
    ...omitEmptyMap("Annotations", config.Annotations),
    CapAdd: config.CapAdd ?? null,
    CapDrop: config.CapDrop ?? null,
    CgroupnsMode: config.CgroupnsMode,
    Dns: config.Dns ?? null,
    DnsOptions: config.DnsOptions ?? null,
    DnsSearch: config.DnsSearch ?? null,
    ExtraHosts: config.ExtraHosts ?? null,
    GroupAdd: config.GroupAdd ?? null,
    IpcMode: config.IpcMode,
    Cgroup: config.Cgroup,
    Links: links.length === 0 ? null : links,
    OomScoreAdj: config.OomScoreAdj,
    PidMode: config.PidMode,
    Privileged: config.Privileged,
    PublishAllPorts: config.PublishAllPorts,
    ReadonlyRootfs: config.ReadonlyRootfs,
    SecurityOpt: config.SecurityOpt ?? null,
    ...omitEmptyMap("StorageOpt", config.StorageOpt),
    ...omitEmptyMap("Tmpfs", config.Tmpfs),
    UTSMode: config.UTSMode,
    UsernsMode: config.UsernsMode,
    ShmSize: config.ShmSize,
    ...omitEmptyMap("Sysctls", config.Sysctls),
    ...(config.Runtime === "" ? {} : { Runtime: config.Runtime }),
    Isolation: config.Isolation,
    ...resourcesJson(config),
    ...((config.Mounts?.length ?? 0) > 0 ? { Mounts: config.Mounts?.map(withoutZeros) } : {}),
    MaskedPaths: config.MaskedPaths ?? null,
    ReadonlyPaths: config.ReadonlyPaths ?? null,
    ...(config.Init === undefined ? {} : { Init: config.Init }),
  };
}

function resourcesJson(config: HostConfig): Record<string, unknown> {
  return {
    CpuShares: config.CpuShares,
    Memory: config.Memory,
    NanoCpus: config.NanoCpus,
    CgroupParent: config.CgroupParent,
    BlkioWeight: config.BlkioWeight,
    BlkioWeightDevice: config.BlkioWeightDevice ?? null,
    BlkioDeviceReadBps: config.BlkioDeviceReadBps ?? null,
    BlkioDeviceWriteBps: config.BlkioDeviceWriteBps ?? null,
    BlkioDeviceReadIOps: config.BlkioDeviceReadIOps ?? null,
    BlkioDeviceWriteIOps: config.BlkioDeviceWriteIOps ?? null,
    CpuPeriod: config.CpuPeriod,
    CpuQuota: config.CpuQuota,
    CpuRealtimePeriod: config.CpuRealtimePeriod,
    CpuRealtimeRuntime: config.CpuRealtimeRuntime,
    CpusetCpus: config.CpusetCpus,
    CpusetMems: config.CpusetMems,
    Devices: config.Devices ?? null,
    DeviceCgroupRules: config.DeviceCgroupRules ?? null,
    DeviceRequests: config.DeviceRequests ?? null,
    ...(config.KernelMemoryTCP > 0 ? { KernelMemoryTCP: config.KernelMemoryTCP } : {}),
    MemoryReservation: config.MemoryReservation,
    MemorySwap: config.MemorySwap,
    MemorySwappiness: config.MemorySwappiness ?? null,
    OomKillDisable: config.OomKillDisable ?? null,
    PidsLimit: config.PidsLimit ?? null,
    Ulimits: config.Ulimits?.map(({ Name, Hard, Soft }) => ({ Name, Hard, Soft })) ?? null,
    CpuCount: config.CpuCount,
    CpuPercent: config.CpuPercent,
    IOMaximumIOps: config.IOMaximumIOps,
    IOMaximumBandwidth: config.IOMaximumBandwidth,
  };
}

function portBindingsJson(bindings: NonNullable<HostConfig["PortBindings"]>): Record<string, unknown> {
  return Object.fromEntries([...bindings].sort(byKey).map(([port, list]) => [port, list ?? null]));
}

/** Go's `omitempty` all the way down: what is zero, empty or absent is left out; an object that is there stays. */
function withoutZeros(value: object): Record<string, unknown> {
  const kept = Object.entries(value).flatMap(([key, member]: [string, unknown]): [string, unknown][] => {
    if (member === undefined || member === "" || member === false || member === 0 || member === 0n) return [];
    if (Array.isArray(member)) return member.length === 0 ? [] : [[key, member]];
    if (member instanceof Map) return member.size === 0 ? [] : [[key, Object.fromEntries(member)]];
    return [[key, typeof member === "object" && member !== null ? withoutZeros(member) : member]];
  });
  return Object.fromEntries(kept);
}

function omitEmptyMap(name: string, map: ReadonlyMap<string, string> | undefined): Record<string, unknown> {
  return map === undefined || map.size === 0 ? {} : { [name]: sortedObject(map) };
}

/** Go writes maps in the order of their keys. */
function sortedObject(map: ReadonlyMap<string, unknown> | undefined): Record<string, unknown> | undefined {
  return map && Object.fromEntries([...map].sort(byKey));
}

function byKey([a]: [string, unknown], [b]: [string, unknown]): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

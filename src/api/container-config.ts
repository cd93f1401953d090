import { array, boolean, int64, integer, mapOf, optional, string, stringOrStrings, struct, type Decoded } from "./decode.ts";

/**
 * `POST /containers/create`: what a container is asked to be (Engine API 1.50, ContainerConfig, HostConfig, NetworkingConfig).
 */

const healthcheck = struct("HealthcheckConfig", {
  Test: array(string),
  Interval: int64,
  Timeout: int64,
  StartPeriod: int64,
  StartInterval: int64,
  Retries: integer,
});

const emptyObject = struct("struct {}", {});

/** The members of the create body that describe the container itself. */
const containerConfigFields = {
  Hostname: string,
  Domainname: string,
  User: string,
  AttachStdin: boolean,
  AttachStdout: boolean,
  AttachStderr: boolean,
  ExposedPorts: optional(mapOf(emptyObject)),
  Tty: boolean,
  OpenStdin: boolean,
  StdinOnce: boolean,
  Env: optional(array(string)),
  Cmd: stringOrStrings,
  Healthcheck: optional(healthcheck),
  ArgsEscaped: boolean,
  Image: string,
  Volumes: optional(mapOf(emptyObject)),
  WorkingDir: string,
  Entrypoint: stringOrStrings,
  NetworkDisabled: boolean,
  MacAddress: string,
  OnBuild: optional(array(string)),
  Labels: mapOf(string),
  StopSignal: string,
  StopTimeout: optional(integer),
  Shell: optional(array(string)),
};
export const containerConfig = struct("Config", containerConfigFields);
export type ContainerConfig = Decoded<typeof containerConfig>;

const weightDevice = struct("WeightDevice", { Path: string, Weight: integer });
const throttleDevice = struct("ThrottleDevice", { Path: string, Rate: int64 });
const deviceMapping = struct("DeviceMapping", { PathOnHost: string, PathInContainer: string, CgroupPermissions: string });
const deviceRequest = struct("DeviceRequest", {
  Driver: string,
  Count: integer,
  DeviceIDs: array(string),
  Capabilities: array(array(string)),
  Options: mapOf(string),
});
const ulimit = struct("Ulimit", { Name: string, Soft: int64, Hard: int64 });
const portBinding = struct("PortBinding", { HostIp: string, HostPort: string });
const restartPolicy = struct("RestartPolicy", { Name: string, MaximumRetryCount: integer });
const logConfig = struct("LogConfig", { Type: string, Config: mapOf(string) });

const mount = struct("Mount", {
  Type: string,
  Source: string,
  Target: string,
  ReadOnly: boolean,
  Consistency: string,
  BindOptions: optional(
    struct("BindOptions", {
      Propagation: string,
      NonRecursive: boolean,
      CreateMountpoint: boolean,
      ReadOnlyNonRecursive: boolean,
      ReadOnlyForceRecursive: boolean,
    }),
  ),
  VolumeOptions: optional(
    struct("VolumeOptions", {
      NoCopy: boolean,
      Labels: mapOf(string),
      Subpath: string,
      DriverConfig: optional(struct("Driver", { Name: string, Options: mapOf(string) })),
    }),
  ),
  ImageOptions: optional(struct("ImageOptions", { Subpath: string })),
  TmpfsOptions: optional(struct("TmpfsOptions", { SizeBytes: int64, Mode: integer, Options: optional(array(array(string))) })),
});
export type MountRequest = Decoded<typeof mount>;

/** The limits: the whole of `POST /containers/{id}/update` but the restart policy, and a part of HostConfig. */
const resources = {
  CpuShares: int64,
  Memory: int64,
  CgroupParent: string,
  BlkioWeight: integer,
  BlkioWeightDevice: optional(array(weightDevice)),
  BlkioDeviceReadBps: optional(array(throttleDevice)),
  BlkioDeviceWriteBps: optional(array(throttleDevice)),
  BlkioDeviceReadIOps: optional(array(throttleDevice)),
  BlkioDeviceWriteIOps: optional(array(throttleDevice)),
  CpuPeriod: int64,
  CpuQuota: int64,
  CpuRealtimePeriod: int64,
  CpuRealtimeRuntime: int64,
  CpusetCpus: string,
  CpusetMems: string,
  Devices: optional(array(deviceMapping)),
  DeviceCgroupRules: optional(array(string)),
  DeviceRequests: optional(array(deviceRequest)),
  KernelMemory: int64,
  KernelMemoryTCP: int64,
  MemoryReservation: int64,
  MemorySwap: int64,
  MemorySwappiness: optional(int64),
  NanoCpus: int64,
  OomKillDisable: optional(boolean),
  PidsLimit: optional(int64),
  Ulimits: optional(array(ulimit)),
  CpuCount: int64,
  CpuPercent: int64,
  IOMaximumIOps: int64,
  IOMaximumBandwidth: int64,
};

export const hostConfig = struct("HostConfig", {
  ...resources,
  Binds: optional(array(string)),
  ContainerIDFile: string,
  LogConfig: logConfig,
  NetworkMode: string,
  PortBindings: optional(mapOf(optional(array(portBinding)))),
  RestartPolicy: restartPolicy,
  AutoRemove: boolean,
  VolumeDriver: string,
  VolumesFrom: optional(array(string)),
  Mounts: optional(array(mount)),
  ConsoleSize: optional(array(integer)),
  Annotations: optional(mapOf(string)),
  CapAdd: optional(array(string)),
  CapDrop: optional(array(string)),
  CgroupnsMode: string,
  Dns: optional(array(string)),
  DnsOptions: optional(array(string)),
  DnsSearch: optional(array(string)),
  ExtraHosts: optional(array(string)),
  GroupAdd: optional(array(string)),
  IpcMode: string,
  Cgroup: string,
  Links: optional(array(string)),
  OomScoreAdj: integer,
  PidMode: string,
  Privileged: boolean,
  PublishAllPorts: boolean,
  ReadonlyRootfs: boolean,
  SecurityOpt: optional(array(string)),
  StorageOpt: optional(mapOf(string)),
  Tmpfs: optional(mapOf(string)),
  UTSMode: string,
  UsernsMode: string,
  ShmSize: int64,
  Sysctls: optional(mapOf(string)),
  Runtime: string,
  Isolation: string,
  /** null or absent: Docker's defaults; an empty list: none. */
  MaskedPaths: optional(array(string)),
  ReadonlyPaths: optional(array(string)),
  Init: optional(boolean),
});
export type HostConfig = Decoded<typeof hostConfig>;

export const endpointSettings = struct("EndpointSettings", {
  IPAMConfig: optional(struct("EndpointIPAMConfig", { IPv4Address: string, IPv6Address: string, LinkLocalIPs: optional(array(string)) })),
  Links: optional(array(string)),
  Aliases: optional(array(string)),
  MacAddress: string,
  DriverOpts: optional(mapOf(string)),
  GwPriority: integer,
  NetworkID: string,
  EndpointID: string,
});

export type EndpointSettings = Decoded<typeof endpointSettings>;

export const networkingConfig = struct("NetworkingConfig", { EndpointsConfig: mapOf(optional(endpointSettings)) });
export type NetworkingConfig = Decoded<typeof networkingConfig>;

/** The whole body: the config's members beside HostConfig and NetworkingConfig. */
export const createBody = struct("ContainerConfigWrapper", {
  ...containerConfigFields,
  HostConfig: optional(hostConfig),
  NetworkingConfig: optional(networkingConfig),
});
export type CreateBody = Decoded<typeof createBody>;

/** `POST /containers/{id}/exec` */
export const execConfig = struct("ExecOptions", {
  User: string,
  Privileged: boolean,
  Tty: boolean,
  ConsoleSize: optional(array(integer)),
  AttachStdin: boolean,
  AttachStderr: boolean,
  AttachStdout: boolean,
  Detach: boolean,
  DetachKeys: string,
  Env: optional(array(string)),
  WorkingDir: string,
  Cmd: optional(array(string)),
});
export type ExecConfig = Decoded<typeof execConfig>;

/** `POST /exec/{id}/start` */
export const execStart = struct("ExecStartOptions", { Detach: boolean, Tty: boolean, ConsoleSize: optional(array(integer)) });
export type ExecStart = Decoded<typeof execStart>;

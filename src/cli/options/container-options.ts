import type { Flags } from "../arguments.ts";
import { isCdiDevice, parseByteRate, parseCpus, parseDevice, parseGpus, parseOperationRate, parseUlimit, parseWeight } from "./devices.ts";
import { readPairs } from "./environment.ts";
import { parseMount } from "./mounts.ts";
import { parseNetworks } from "./networks.ts";
import { parseExposed, parsePublished } from "./ports.ts";
import { normaliseCapabilities, parseSecurityOptions } from "./security.ts";
import { cut, isMacAddress, parseDurationNs, parseSizeBytes, toMap } from "./values.ts";
import { parseVolumes } from "./volumes.ts";

/**
 * From the flags of `run` and `create` to the body of `POST /containers/create`. Pure but for the files that flags name. Every check that
 * the Docker CLI makes is made here with its words, before the engine is asked.
 */

type Json = Record<string, unknown>;
export type ContainerOptions = {
  readonly config: Json & {
    Image: string;
    Tty: boolean;
    AttachStdin: boolean;
    AttachStdout: boolean;
    AttachStderr: boolean;
    OpenStdin: boolean;
    StdinOnce: boolean;
  };
  readonly hostConfig: Json & { AutoRemove: boolean; ContainerIDFile: string; Dns: string[] };
  readonly networkingConfig: { readonly EndpointsConfig: Json };
};

/** Options and arguments (image, command) of a container to be made. `proxies` are variables for proxies that the client's settings ask for. */
export function readContainerOptions(flags: Flags, args: readonly string[], proxies: readonly string[]): ContainerOptions {
  const [image = "", ...command] = args;
  const attach = flags.list("attach");
  const mac = flags.text("mac-address");
  if (mac !== "" && !isMacAddress(mac)) throw new Error(`${mac} is not a valid mac address`);
  const swappiness = flags.integer("memory-swappiness");
  if (swappiness !== -1 && (swappiness < 0 || swappiness > 100))
    throw new Error(`invalid value: ${swappiness}. Valid memory swappiness range is 0-100`);

  const { binds, volumes } = parseVolumes(flags.list("volume"));
  const { exposed, bindings } = parsePublished(flags.list("publish"));
  for (const port of flags.list("expose").flatMap(parseExposed)) exposed[port] ??= {};
  const devices = flags.list("device");
  const deviceMappings = devices.filter((device) => !isCdiDevice(device)).map(parseDevice);
  const environment = readPairs(flags.list("env-file"), [...flags.list("env"), ...proxies], process.env);
  const labels = toMap(readPairs(flags.list("label-file"), flags.list("label"), {}));
  checkNamespaces(flags);
  const restartPolicy = parseRestartPolicy(flags.text("restart"));
  const logConfig = parseLogging(flags);
  const security = parseSecurityOptions(flags.list("security-opt"));
  const storage = parseStorage(flags.list("storage-opt"));
  const healthcheck = parseHealthcheck(flags);
  if (flags.boolean("rm") && restartPolicy.Name !== "no" && restartPolicy.Name !== "") {
    throw new Error("conflicting options: cannot specify both --restart and --rm");
  }
  const networks = parseNetworks(flags);
  const openStdin = flags.boolean("interactive");
  const attachStdin = attach.includes("stdin") || openStdin;
  const endpointMac = networks.endpoints[networks.mode]?.MacAddress;

  const entrypoint = flags.text("entrypoint");
  const config = {
    Hostname: flags.text("hostname"),
    Domainname: flags.text("domainname"),
    User: flags.text("user"),
    AttachStdin: attachStdin,
    AttachStdout: attach.length === 0 || attach.includes("stdout"),
    AttachStderr: attach.length === 0 || attach.includes("stderr"),
    ExposedPorts: exposed,
    Tty: flags.boolean("tty"),
    OpenStdin: openStdin,
    // A container whose input we hold loses it when we leave.
    StdinOnce: openStdin && attachStdin,
    Env: environment,
    Cmd: command.length > 0 ? command : null,
    ...(healthcheck && { Healthcheck: healthcheck }),
    Image: image,
    Volumes: volumes,
    WorkingDir: flags.text("workdir"),
    // `--entrypoint=` takes the image's entry point away.
    Entrypoint: flags.changed("entrypoint") ? [entrypoint] : null,
    ...(endpointMac !== undefined && { MacAddress: endpointMac }),
    Labels: labels,
    ...(flags.text("stop-signal") !== "" && { StopSignal: flags.text("stop-signal") }),
    ...(flags.changed("stop-timeout") && { StopTimeout: flags.integer("stop-timeout") }),
  };
  const hostConfig = {
    Binds: orNull(binds),
    ContainerIDFile: flags.text("cidfile"),
    LogConfig: logConfig,
    NetworkMode: networks.mode,
    PortBindings: bindings,
    RestartPolicy: restartPolicy,
    AutoRemove: flags.boolean("rm"),
    VolumeDriver: flags.text("volume-driver"),
    VolumesFrom: orNull(flags.list("volumes-from")),
    ConsoleSize: [0, 0],
    ...(flags.list("annotation").length > 0 && { Annotations: toMap(flags.list("annotation")) }),
    CapAdd: normaliseCapabilities(flags.list("cap-add")),
    CapDrop: normaliseCapabilities(flags.list("cap-drop")),
    CgroupnsMode: flags.text("cgroupns"),
    Dns: flags.list("dns"),
    DnsOptions: flags.list("dns-option"),
    DnsSearch: flags.list("dns-search"),
    ExtraHosts: orNull(flags.list("add-host")),
    GroupAdd: orNull(flags.list("group-add")),
    IpcMode: flags.text("ipc"),
    Cgroup: "",
    Links: flags.list("link"),
    OomScoreAdj: flags.integer("oom-score-adj"),
    PidMode: flags.text("pid"),
    Privileged: flags.boolean("privileged"),
    PublishAllPorts: flags.boolean("publish-all"),
    ReadonlyRootfs: flags.boolean("read-only"),
    SecurityOpt: orNull(security.options),
    StorageOpt: storage,
    Tmpfs: Object.fromEntries(flags.list("tmpfs").map((mount) => [cut(mount, ":")[0], cut(mount, ":")[1] ?? ""])),
    UTSMode: flags.text("uts"),
    UsernsMode: flags.text("userns"),
    ShmSize: size(flags, "shm-size"),
    Sysctls: toMap(flags.list("sysctl")),
    Runtime: flags.text("runtime"),
    Isolation: flags.text("isolation"),
    ...readResources(flags),
    Devices: deviceMappings,
    DeviceRequests: readDeviceRequests(flags, devices.filter(isCdiDevice)),
    Mounts: flags.list("mount").map(parseMount),
    ...(security.systemPathsUnconfined && { MaskedPaths: [], ReadonlyPaths: [] }),
    ...(security.systemPathsUnconfined ? {} : { MaskedPaths: null, ReadonlyPaths: null }),
    ...(flags.changed("init") && { Init: flags.boolean("init") }),
  };
  return { config, hostConfig, networkingConfig: { EndpointsConfig: networks.endpoints } };
}

/** Go's client leaves some lists nil where nothing was given; the engine keeps the difference and shows it. */
function orNull<T>(list: readonly T[]): readonly T[] | null {
  return list.length === 0 ? null : list;
}

function size(flags: Flags, name: string): number {
  const text = flags.text(name);
  return text === "" || text === "-1" ? Number(text) : parseSizeBytes(text);
}

function readResources(flags: Flags): Json {
  const cpus = flags.text("cpus");
  return {
    CpuShares: flags.integer("cpu-shares"),
    Memory: size(flags, "memory"),
    NanoCpus: cpus === "" ? 0 : parseCpus(cpus),
    CgroupParent: flags.text("cgroup-parent"),
    BlkioWeight: Number(flags.text("blkio-weight")),
    BlkioWeightDevice: flags.list("blkio-weight-device").map(parseWeight),
    BlkioDeviceReadBps: flags.list("device-read-bps").map(parseByteRate),
    BlkioDeviceWriteBps: flags.list("device-write-bps").map(parseByteRate),
    BlkioDeviceReadIOps: flags.list("device-read-iops").map(parseOperationRate),
    BlkioDeviceWriteIOps: flags.list("device-write-iops").map(parseOperationRate),
    CpuPeriod: flags.integer("cpu-period"),
    CpuQuota: flags.integer("cpu-quota"),
    CpuRealtimePeriod: flags.integer("cpu-rt-period"),
    CpuRealtimeRuntime: flags.integer("cpu-rt-runtime"),
    CpusetCpus: flags.text("cpuset-cpus"),
    CpusetMems: flags.text("cpuset-mems"),
    DeviceCgroupRules: orNull(flags.list("device-cgroup-rule")),
    MemoryReservation: size(flags, "memory-reservation"),
    MemorySwap: size(flags, "memory-swap"),
    MemorySwappiness: flags.integer("memory-swappiness"),
    OomKillDisable: flags.boolean("oom-kill-disable"),
    PidsLimit: flags.integer("pids-limit"),
    Ulimits: [
      ...new Map(
        flags
          .list("ulimit")
          .map(parseUlimit)
          .map((limit) => [limit.Name, limit]),
      ).values(),
    ].sort((a, b) => (a.Name < b.Name ? -1 : 1)),
    CpuCount: flags.integer("cpu-count"),
    CpuPercent: flags.integer("cpu-percent"),
    IOMaximumIOps: flags.integer("io-maxiops"),
    IOMaximumBandwidth: size(flags, "io-maxbandwidth"),
  };
}

function readDeviceRequests(flags: Flags, cdiDevices: string[]): unknown[] | null {
  const requests: unknown[] = flags.list("gpus").map(parseGpus);
  if (cdiDevices.length > 0) requests.push({ Driver: "cdi", Count: 0, DeviceIDs: cdiDevices, Capabilities: null, Options: null });
  return requests.length > 0 ? requests : null;
}

function checkNamespaces(flags: Flags): void {
  const pid = flags.text("pid");
  if (pid !== "" && pid !== "host" && !/^container:./.test(pid)) throw new Error("--pid: invalid PID mode");
  if (!["", "host"].includes(flags.text("uts"))) throw new Error("--uts: invalid UTS mode");
  if (!["", "host"].includes(flags.text("userns"))) throw new Error("--userns: invalid USER mode");
  if (!["", "host", "private"].includes(flags.text("cgroupns"))) throw new Error("--cgroupns: invalid CGROUP mode");
}

export function parseRestartPolicy(text: string): { Name: string; MaximumRetryCount: number } {
  const [name, retries] = cut(text, ":");
  if (retries !== undefined && name === "") throw new Error("invalid restart policy format: no policy provided before colon");
  if (retries !== undefined && retries !== "" && !/^[+-]?\d+$/.test(retries))
    throw new Error("invalid restart policy format: maximum retry count must be an integer");
  return { Name: name, MaximumRetryCount: Number(retries ?? "0") };
}

function parseLogging(flags: Flags): Json {
  const driver = flags.text("log-driver");
  const options = flags.list("log-opt");
  if (driver === "none" && options.length > 0) throw new Error(`invalid logging opts for driver ${driver}`);
  return { Type: driver, Config: toMap(options) };
}

function parseStorage(options: readonly string[]): Json | null {
  if (options.some((option) => !option.includes("="))) throw new Error("invalid storage option");
  return options.length === 0 ? null : toMap(options);
}

function parseHealthcheck(flags: Flags): Json | undefined {
  const names = ["health-interval", "health-timeout", "health-start-period", "health-start-interval"] as const;
  const [interval, timeout, startPeriod, startInterval] = names.map((name) =>
    flags.text(name) === "" ? 0 : parseDurationNs(flags.text(name)),
  );
  const [command, retries] = [flags.text("health-cmd"), flags.integer("health-retries")];
  const given = command !== "" || retries !== 0 || [interval, timeout, startPeriod, startInterval].some((value) => value !== 0);
  if (flags.boolean("no-healthcheck")) {
    if (given) throw new Error("--no-healthcheck conflicts with --health-* options");
    return { Test: ["NONE"] };
  }
  if (!given) return undefined;
  const negative = (value: number | undefined): boolean => value !== undefined && value < 0;
  if (negative(interval)) throw new Error("--health-interval cannot be negative");
  if (negative(timeout)) throw new Error("--health-timeout cannot be negative");
  if (retries < 0) throw new Error("--health-retries cannot be negative");
  if (negative(startPeriod)) throw new Error("--health-start-period cannot be negative");
  if (negative(startInterval)) throw new Error("--health-start-interval cannot be negative");
  return {
    ...(command !== "" && { Test: ["CMD-SHELL", command] }),
    ...(interval !== 0 && { Interval: interval }),
    ...(timeout !== 0 && { Timeout: timeout }),
    ...(startPeriod !== 0 && { StartPeriod: startPeriod }),
    ...(startInterval !== 0 && { StartInterval: startInterval }),
    ...(retries !== 0 && { Retries: retries }),
  };
}

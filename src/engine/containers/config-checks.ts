import { isIP } from "node:net";
import path from "node:path";

import type { ContainerConfig, HostConfig, NetworkingConfig } from "../../api/container-config.ts";
import { EngineError, messageOf } from "../../base/errors.ts";
import type { HostFacts } from "../../kernel/host.ts";
import { normalizeCapabilities } from "./capabilities.ts";
import {
  isValidCgroupNamespaceMode,
  isValidIpcMode,
  isValidPidMode,
  isValidUserNamespaceMode,
  isValidUtsMode,
  namespaceMode,
  sharedContainer,
} from "./namespace-modes.ts";
import { LINK_NAME_OPTION } from "./endpoint-requests.ts";
import { parseDeviceRule } from "./oci-devices.ts";
import { checkPorts } from "./ports.ts";
import { parseSecurityOptions } from "./security-options.ts";
import { parseSignal } from "./signals.ts";

/** The kernel's limit (`__NEW_UTS_LEN`). */
const HOSTNAME_LIMIT_BYTES = 64;
const MILLISECOND_NS = 1_000_000;

/** What contradicts itself, whatever the host (moby runconfig). */
export function checkNetworkMode(config: ContainerConfig, hostConfig: HostConfig): void {
  const { NetworkMode, UTSMode, Links, Dns, ExtraHosts, PortBindings, PublishAllPorts } = hostConfig;
  const conflict = (what: string): EngineError => invalid(`conflicting options: ${what}`);
  const shared = NetworkMode === "container" ? "" : sharedContainer(NetworkMode);
  if (shared !== undefined) {
    if (shared === "") throw invalid("invalid network mode: invalid container format container:<name|id>");
    if (config.Hostname !== "") throw conflict("hostname and the network mode");
    if (!isEmpty(Links)) throw conflict("container type network can't be used with links. This would result in undefined behavior");
    if (!isEmpty(Dns)) throw conflict("dns and the network mode");
    if (!isEmpty(ExtraHosts)) throw conflict("custom host-to-IP mapping and the network mode");
    if ((PortBindings?.size ?? 0) > 0 || PublishAllPorts) throw conflict("port publishing and the container type network mode");
    if ((config.ExposedPorts?.size ?? 0) > 0) throw conflict("port exposing and the container type network mode");
  }
  if (UTSMode === "host" && config.Hostname !== "") throw conflict("hostname and the UTS mode");
  if (NetworkMode === "host" && !isEmpty(Links)) {
    throw conflict("host type networking can't be used with links. This would result in undefined behavior");
  }
}

/** The part of a config that says what runs. Gives back the working directory without detours. */
export function checkConfig(config: ContainerConfig): ContainerConfig {
  const { WorkingDir, StopSignal, Env, Hostname } = config;
  checkNoNul([WorkingDir, Hostname, config.Domainname, config.User, ...(Env ?? []), ...(config.Cmd ?? []), ...(config.Entrypoint ?? [])]);
  if (WorkingDir !== "" && !WorkingDir.startsWith("/")) {
    throw invalid(`the working directory '${WorkingDir}' is invalid, it needs to be an absolute path`);
  }
  if (StopSignal !== "") parseSignal(StopSignal);
  for (const entry of Env ?? []) {
    if (entry === "" || entry.startsWith("=")) throw invalid(`invalid environment variable: ${entry}`);
  }
  checkHealthcheck(config.Healthcheck);
  if (Buffer.byteLength(Hostname) > HOSTNAME_LIMIT_BYTES) {
    throw invalid(`hostname "${Hostname}" is too long (maximum ${HOSTNAME_LIMIT_BYTES} bytes)`);
  }
  return { ...config, WorkingDir: WorkingDir === "" ? "" : cleanPath(WorkingDir) };
}

/** C strings end at a NUL: what comes after it would be lost, or worse, in the runtime. */
function checkNoNul(texts: readonly string[]): void {
  const bad = texts.find((text) => text.includes("\0"));
  if (bad !== undefined) throw invalid(`invalid value ${JSON.stringify(bad)}: it contains a NUL byte`);
}

function cleanPath(name: string): string {
  const normal = path.posix.normalize(name);
  return normal.length > 1 && normal.endsWith("/") ? normal.slice(0, -1) : normal;
}

function checkHealthcheck(healthcheck: ContainerConfig["Healthcheck"]): void {
  if (healthcheck === undefined) return;
  for (const name of ["Interval", "Timeout", "StartPeriod", "StartInterval"] as const) {
    const value = BigInt(healthcheck[name]);
    if (value !== 0n && value < MILLISECOND_NS) throw invalid(`${name} in Healthcheck cannot be less than 1ms`);
  }
  if (healthcheck.Retries < 0) throw invalid("Retries in Healthcheck cannot be negative");
}

/** The part that says how it runs, but limits and mounts. Warnings are added to the list. */
export function checkHostConfig(config: ContainerConfig, hostConfig: HostConfig, host: HostFacts, warnings: string[]): void {
  checkRestartPolicy(hostConfig);
  for (const entry of hostConfig.ExtraHosts ?? []) checkExtraHost(entry);
  checkPorts(config, hostConfig);
  checkCapabilities(hostConfig, host);
  if (!["", "default"].includes(hostConfig.Isolation.toLowerCase())) {
    throw invalid(`invalid isolation (${hostConfig.Isolation}): linux only supports 'default'`);
  }
  if (hostConfig.Annotations?.has("") === true) {
    throw invalid("invalid Annotations: the empty string is not permitted as an annotation key");
  }
  checkModes(hostConfig);
  if (hostConfig.ShmSize < 0) throw invalid("SHM size can not be less than 0");
  if (hostConfig.OomScoreAdj < -1000 || hostConfig.OomScoreAdj > 1000) {
    throw invalid(`Invalid value ${hostConfig.OomScoreAdj}, range for oom score adj is [-1000, 1000]`);
  }
  parseSecurityOptions(hostConfig.SecurityOpt ?? []);
  for (const rule of hostConfig.DeviceCgroupRules ?? []) parseDeviceRule(rule);
  checkSysctls(hostConfig);
  checkUnsupported(hostConfig);
  if (hostConfig.NetworkMode === "host" && (hostConfig.PortBindings?.size ?? 0) > 0) {
    warnings.push("Published ports are discarded when using host network mode");
  }
  if (hostConfig.CgroupnsMode === "private" && !host.cgroupNamespaces) {
    warnings.push("Your kernel does not support cgroup namespaces.  Cgroup namespace setting discarded.");
  }
}

/** The policies and what they may be given (moby api/types/container/hostconfig.go). */
export function checkRestartPolicy({ RestartPolicy, AutoRemove }: Pick<HostConfig, "RestartPolicy" | "AutoRemove">): void {
  const { Name, MaximumRetryCount } = RestartPolicy;
  if (AutoRemove && !["", "no"].includes(Name)) throw invalid("can't create 'AutoRemove' container with restart policy");
  switch (Name) {
    case "":
      return;
    case "no":
    case "always":
    case "unless-stopped":
      if (MaximumRetryCount === 0) return;
      throw invalid(
        "invalid restart policy: maximum retry count can only be used with 'on-failure'" +
          (MaximumRetryCount < 0 ? " and cannot be negative" : ""),
      );
    case "on-failure":
      if (MaximumRetryCount >= 0) return;
      throw invalid("invalid restart policy: maximum retry count cannot be negative");
    default: {
      const known = "'no', 'always', 'on-failure', or 'unless-stopped'";
      throw invalid(`invalid restart policy: unknown policy '${Name}'; use one of ${known}`);
    }
  }
}

/** `name:address`, where the address may be `host-gateway`. */
function checkExtraHost(entry: string): void {
  const at = entry.indexOf(":");
  if (at <= 0) throw invalid(`bad format for add-host: ${JSON.stringify(entry)}`);
  const address = entry.slice(at + 1);
  const bare = address.startsWith("[") && address.endsWith("]") ? address.slice(1, -1) : address;
  if (address !== "host-gateway" && isIP(bare) === 0) throw invalid(`invalid IP address in add-host: ${JSON.stringify(address)}`);
}

function checkCapabilities({ CapAdd, CapDrop }: HostConfig, host: HostFacts): void {
  for (const [option, names] of [
    ["CapAdd", CapAdd],
    ["CapDrop", CapDrop],
  ] as const) {
    try {
      normalizeCapabilities(names ?? [], host.capabilities);
    } catch (error) {
      throw invalid(`invalid ${option}: ${messageOf(error)}`);
    }
  }
}

function checkModes({ IpcMode, PidMode, UTSMode, UsernsMode, CgroupnsMode }: HostConfig): void {
  if (!isValidIpcMode(IpcMode)) throw invalid(`invalid IPC mode: ${IpcMode}`);
  if (!isValidPidMode(PidMode)) throw invalid(`invalid PID mode: ${PidMode}`);
  if (!isValidUtsMode(UTSMode)) throw invalid(`invalid UTS mode: ${UTSMode}`);
  if (!isValidUserNamespaceMode(UsernsMode)) throw invalid(`invalid user namespace mode: ${UsernsMode}`);
  if (!isValidCgroupNamespaceMode(CgroupnsMode)) throw invalid(`invalid cgroup namespace mode: ${CgroupnsMode}`);
}

/** Sysctls of an interface cannot be set before there is the interface; the runtime refuses other wrong ones. */
function checkSysctls({ Sysctls, NetworkMode }: HostConfig): void {
  if (namespaceMode(NetworkMode) !== "own") return;
  for (const name of Sysctls?.keys() ?? []) {
    if (!/^net\.[^.]*\.[^.]*\.eth[^.]*\./.test(name)) continue;
    const option = "com.docker.network.endpoint.sysctls";
    throw invalid(`interface specific sysctl setting "${name}" must be supplied using driver option '${option}'`);
  }
}

function checkUnsupported({ StorageOpt, DeviceRequests }: HostConfig): void {
  if ((StorageOpt?.size ?? 0) > 0) throw invalid("--storage-opt is supported only for overlay over xfs with 'pquota' mount option");
  for (const { Driver, Capabilities } of DeviceRequests ?? []) {
    const capabilities = Capabilities.map((set) => `[${set.join(" ")}]`).join(" ");
    throw invalid(`could not select device driver "${Driver}" with capabilities: [${capabilities}]`);
  }
}

const PREDEFINED_NETWORKS = new Set(["default", "bridge", "host", "none"]);

/** Settings of a container's endpoints; whether the networks exist is found out when it starts. */
export function checkNetworking(networking: NetworkingConfig): void {
  for (const [network, endpoint] of networking.EndpointsConfig) {
    const wrong = (why: string): EngineError => invalid(`invalid config for network ${network}: ${why}`);
    if (endpoint === undefined) throw wrong("EndpointsConfig is nil");
    const { IPv4Address = "", IPv6Address = "", LinkLocalIPs = [] } = endpoint.IPAMConfig ?? {};
    const faults: string[] = [];
    if (PREDEFINED_NETWORKS.has(network)) {
      if (IPv4Address !== "" || IPv6Address !== "") faults.push("user specified IP address is supported on user defined networks only");
      if (!isEmpty(endpoint.Aliases)) faults.push("network-scoped alias is supported only for containers in user defined networks");
    }
    if (IPv4Address !== "" && isIP(IPv4Address) !== 4) faults.push(`invalid IPv4 address: ${IPv4Address}`);
    if (IPv6Address !== "" && isIP(IPv6Address) !== 6) faults.push(`invalid IPv6 address: ${IPv6Address}`);
    const linkName = endpoint.DriverOpts?.get(LINK_NAME_OPTION) ?? "";
    if (linkName !== "" && (!/^[^\s/:]{1,15}$/.test(linkName) || ["lo", ".", ".."].includes(linkName)))
      faults.push(
        `invalid interface name ${JSON.stringify(linkName)}: 1 to 15 characters without blanks, slashes and colons are wanted, and not lo`,
      );
    for (const address of LinkLocalIPs ?? []) if (isIP(address) === 0) faults.push(`invalid link-local IP address: ${address}`);
    if (endpoint.MacAddress !== "" && !/^([0-9a-f]{2}[:-]){5}[0-9a-f]{2}$/i.test(endpoint.MacAddress)) {
      throw wrong(`invalid MAC address ${endpoint.MacAddress}`);
    }
    if (faults.length > 0) throw wrong(`invalid endpoint settings:\n${faults.join("\n")}`);
  }
}

function isEmpty(list: readonly unknown[] | undefined): boolean {
  return list === undefined || list.length === 0;
}

function invalid(message: string): EngineError {
  return new EngineError("invalid", message);
}

import {
  containerConfig,
  endpointSettings,
  hostConfig as hostConfigDecoder,
  networkingConfig,
  type ContainerConfig,
  type CreateBody,
  type HostConfig,
  type NetworkingConfig,
} from "../../api/container-config.ts";
import { encodeJson } from "../../api/json.ts";
import { EngineError } from "../../base/errors.ts";
import type { HostFacts } from "../../kernel/host.ts";
import type { Image } from "../images/images.ts";
import { mergeLogConfig, type LogConfig } from "../logs/log-options.ts";
import { resolveMounts } from "./binds.ts";
import { checkConfig, checkHostConfig, checkNetworking, checkNetworkMode } from "./config-checks.ts";
import type { Container, MountPoint } from "./container.ts";
import type { ContainerDefaults } from "./context.ts";
import { commandOf, mergeConfig } from "./merge-config.ts";
import { sharedContainer } from "./namespace-modes.ts";
import { canHaveOomScore, maskedPaths, READONLY_PATHS } from "./oci-spec.ts";
import { checkResources } from "./resource-checks.ts";

/**
 * From a create request to what a container will be: everything checked, image and request merged, every default written down as Docker
 * stores it. Nothing is made here. The order of the checks is dockerd's, so that of several mistakes both name the same one.
 */
export interface CreateInput {
  body: CreateBody;
  /** Looks the request's image up when its turn has come; throws when it is not there. */
  findImage: () => Image | undefined;
  host: HostFacts;
  settings: CreateSettings;
  containers: { find: (nameOrId: string) => Pick<Container, "id" | "mounts"> | undefined };
  dataRoot: string;
}

/** What the daemon's configuration says of new containers. */
export interface CreateSettings {
  runtimes: ReadonlyMap<string, unknown>;
  defaultRuntime: string;
  logs: LogConfig;
  defaults: Pick<ContainerDefaults, "shmSizeBytes" | "ipcMode" | "cgroupnsMode">;
}

export interface CheckedCreate {
  image: Image | undefined;
  /** Image config and request merged. The hostname stays empty where none was asked for: the default depends on the id. */
  config: ContainerConfig;
  hostConfig: HostConfig;
  networking: NetworkingConfig;
  command: { path: string; args: string[] };
  /** Binds and tmpfs are whole; a volume's source is empty. */
  mounts: MountPoint[];
  warnings: string[];
}

export async function checkCreate(input: CreateInput): Promise<CheckedCreate> {
  const { body, host, settings } = input;
  const { HostConfig: askedHost, NetworkingConfig: askedNetworking, ...asked } = body;
  if (encodeJson(asked) === EMPTY_CONFIG) throw new EngineError("invalid", "config cannot be empty in order to create a container");
  const { hostConfig: named, networking } = withNetworkName(
    askedHost ?? hostConfigDecoder.zero(),
    askedNetworking ?? networkingConfig.zero(),
  );

  checkNetworkMode(asked, named);
  const config = checkConfig(asked);
  const warnings: string[] = [];
  const limited = checkResources(named, host);
  checkHostConfig(config, named, host, warnings);
  warnings.unshift(...limited.warnings);
  const runtime = named.Runtime === "" ? settings.defaultRuntime : named.Runtime;
  if (!settings.runtimes.has(runtime)) throw new EngineError("invalid", `unknown or invalid runtime name: ${runtime}`);

  const image = input.findImage();
  checkNetworking(networking);
  const hostConfig = withDefaults({ ...limited.resources, Runtime: runtime }, input, warnings);
  const merged = checkConfig(mergeConfig(config, image?.config.config));
  const command = commandOf(merged);
  const logs = mergeLogConfig({ type: hostConfig.LogConfig.Type, options: hostConfig.LogConfig.Config }, settings.logs);
  hostConfig.LogConfig = { Type: logs.type, Config: new Map(logs.options) };
  const mounts = await resolveMounts(hostConfig, merged.Volumes?.keys() ?? [], {
    dataRoot: input.dataRoot,
    mountsOf: (name) => {
      const other = input.containers.find(name);
      if (other === undefined) throw new EngineError("invalid", `No such container: ${name}`);
      return other.mounts;
    },
  });
  return {
    image,
    config: merged,
    hostConfig,
    networking: withMacAddress(merged, hostConfig, withMode(hostConfig, networking)),
    command,
    mounts,
    warnings,
  };
}

const EMPTY_CONFIG = encodeJson(containerConfig.zero());

/** `default` is Docker's word for the default network of the platform. */
function withNetworkName(hostConfig: HostConfig, networking: NetworkingConfig): { hostConfig: HostConfig; networking: NetworkingConfig } {
  if (hostConfig.NetworkMode !== "" && hostConfig.NetworkMode !== "default") return { hostConfig, networking };
  const endpoints = new Map([...networking.EndpointsConfig].map(([name, endpoint]) => [name === "default" ? "bridge" : name, endpoint]));
  return { hostConfig: { ...hostConfig, NetworkMode: "bridge" }, networking: { EndpointsConfig: endpoints } };
}

/** Writes down what was left open (moby adaptContainerSettings and createContainerOSSpecificSettings). */
function withDefaults(asked: HostConfig, { host, containers, settings: { defaults } }: CreateInput, warnings: string[]): HostConfig {
  const { Privileged, RestartPolicy, ShmSize, Memory, MemorySwap, IpcMode, CgroupnsMode } = asked;
  const byId = (mode: string): string => {
    const id = containers.find(sharedContainer(mode) ?? "")?.id;
    return id === undefined ? mode : `container:${id}`;
  };
  const canScore = canHaveOomScore(asked.OomScoreAdj, host);
  if (!canScore && asked.OomScoreAdj < 0) {
    warnings.push("The daemon lacks the capability CAP_SYS_RESOURCE to lower OOM scores. OomScoreAdj discarded.");
  }
  const result: HostConfig = {
    ...asked,
    RestartPolicy: { ...RestartPolicy, Name: RestartPolicy.Name === "" ? "no" : RestartPolicy.Name },
    ShmSize: ShmSize > 0 ? ShmSize : defaults.shmSizeBytes,
    MemorySwap: Memory > 0 && BigInt(MemorySwap) === 0n ? twice(Memory) : MemorySwap,
    NetworkMode: byId(asked.NetworkMode),
    IpcMode: IpcMode === "" ? defaults.ipcMode : byId(IpcMode),
    PidMode: byId(asked.PidMode),
    CgroupnsMode: CgroupnsMode === "" ? defaultCgroupNamespace(Privileged, host, defaults) : CgroupnsMode,
    OomKillDisable: asked.OomKillDisable ?? false,
    OomScoreAdj: canScore ? asked.OomScoreAdj : 0,
    MaskedPaths: asked.MaskedPaths ?? (Privileged ? undefined : maskedPaths(host)),
    ReadonlyPaths: asked.ReadonlyPaths ?? (Privileged ? undefined : [...READONLY_PATHS]),
  };
  for (const mode of [result.IpcMode, result.PidMode]) {
    const shared = sharedContainer(mode);
    if (shared !== undefined && containers.find(shared) === undefined) throw new EngineError("invalid", `No such container: ${shared}`);
  }
  const sharesProcesses = [result.IpcMode, result.PidMode].includes("host");
  if ((Privileged || sharesProcesses) && !asked.SecurityOpt?.some((option) => option.startsWith("label="))) {
    result.SecurityOpt = [...(asked.SecurityOpt ?? []), "label=disable"];
  }
  return result;
}

/** v2 has a private one even for privileged containers; on v1 those get the host's. */
function defaultCgroupNamespace(privileged: boolean, host: HostFacts, defaults: CreateSettings["defaults"]): string {
  const isUnified = host.cgroups.mode === "v2";
  if (privileged && !isUnified) return "host";
  return defaults.cgroupnsMode ?? (isUnified ? "private" : "host");
}

function twice(value: number | bigint): number | bigint {
  const doubled = BigInt(value) * 2n;
  return doubled <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(doubled) : doubled;
}

/** The network of the mode is one of the container's networks, and the first. */
function withMode({ NetworkMode }: HostConfig, { EndpointsConfig }: NetworkingConfig): NetworkingConfig {
  if (sharedContainer(NetworkMode) !== undefined) return { EndpointsConfig: new Map() };
  const own = EndpointsConfig.get(NetworkMode) ?? endpointSettings.zero();
  return { EndpointsConfig: new Map([[NetworkMode, own], ...EndpointsConfig, [NetworkMode, own]]) };
}

/** The container-wide MAC address is that of its endpoint on the network it is made for. */
function withMacAddress(config: ContainerConfig, { NetworkMode }: HostConfig, networking: NetworkingConfig): NetworkingConfig {
  const { MacAddress } = config;
  if (MacAddress === "") return networking;
  if (NetworkMode === "host" || NetworkMode === "none" || sharedContainer(NetworkMode) !== undefined) {
    throw new EngineError("invalid", "conflicting options: mac-address and the network mode");
  }
  const endpoint = networking.EndpointsConfig.get(NetworkMode) ?? endpointSettings.zero();
  if (endpoint.MacAddress !== "" && endpoint.MacAddress !== MacAddress) {
    const both = "the container-wide MAC address must match the endpoint-specific MAC address for the main network";
    throw new EngineError("invalid", `${both}, or be left empty`);
  }
  const result: NetworkingConfig = {
    EndpointsConfig: new Map([...networking.EndpointsConfig, [NetworkMode, { ...endpoint, MacAddress }]]),
  };
  checkNetworking(result);
  return result;
}

import { formatTime, ZERO_TIME } from "../../base/time.ts";
import type { LayerDriver } from "../../store/layers.ts";
import { paths, type Roots } from "../../store/roots.ts";
import type { Endpoint, Networks } from "../networks/networks.ts";
import { configJson, hostConfigJson } from "./config-json.ts";
import { statusOf, type Container } from "./container.ts";
import { linkNames } from "./links.ts";
import { mountPointJson } from "./mount-points.ts";
import { namespaceMode, sharedContainer } from "./namespace-modes.ts";
import { endpointSettingsOf, publishedPorts } from "./network-settings.ts";
import { DEFAULT_APPARMOR_PROFILE } from "./oci-process.ts";

/** Where an inspected container's parts are asked for; a part of the containers' context. */
export interface InspectSources {
  roots: Roots;
  host: { appArmor: { profiles: ReadonlySet<string> } | undefined };
  set: { get: (nameOrId: string) => InspectedContainer; find: (nameOrId: string) => Container | undefined };
  execs: { of: (containerId: string) => readonly { id: string; state: { status: string } }[] };
  layers: Pick<LayerDriver, "name" | "inspectWritable" | "describe" | "measureWritable">;
  networks: Pick<Networks, "endpointsOf" | "list">;
}

type InspectedContainer = Container & { readonly chainId?: string | undefined };

/** `GET /containers/{id}/json` */
export async function inspectContainer(
  sources: InspectSources,
  name: string,
  options: { size: boolean },
): Promise<Record<string, unknown>> {
  const container = sources.set.get(name);
  return describeContainer(container, {
    roots: sources.roots,
    appArmorProfile: appArmorProfileOf(container, sources),
    execIds: sources.execs
      .of(container.id)
      .filter(({ state }) => state.status !== "exited")
      .map(({ id }) => id),
    driver: sources.layers.name,
    layerData: sources.layers.inspectWritable(container.id, container.chainId, paths.rootfs(sources.roots, container.id)),
    endpoints: sources.networks.endpointsOf(container.id),
    networkId: networkIdFinder(sources.networks),
    links: linkNames(container, sources.set),
    sizes: options.size ? await sizesOf(container, sources.layers) : undefined,
  });
}

/** What `describeContainer` cannot read off the container. */
export interface ContainerFacts {
  roots: Roots;
  appArmorProfile: string;
  /** Execs that have not ended. */
  execIds: string[];
  driver: string;
  layerData: Record<string, string>;
  endpoints: readonly Endpoint[];
  networkId: (name: string) => string;
  sizes: { writableBytes: number; totalBytes: number } | undefined;
  links: readonly string[];
}

/** A container in the shape of Engine API 1.50, ContainerInspectResponse, with members in Docker's order. */
export function describeContainer(container: Container, facts: ContainerFacts): Record<string, unknown> {
  const { config, hostConfig, state } = container;
  const wasStarted = state.status !== "created" || state.error !== "";
  const filesOwner = sharedContainer(hostConfig.NetworkMode) ?? container.id;
  const fileOf = (name: string): string => (wasStarted ? `${paths.container(facts.roots, filesOwner)}/${name}` : "");
  return {
    Id: container.id,
    Created: formatTime(container.createdNs),
    Path: container.command.path,
    Args: container.command.args,
    State: stateJson(container),
    Image: container.imageId,
    ResolvConfPath: fileOf("resolv.conf"),
    HostnamePath: fileOf("hostname"),
    HostsPath: fileOf("hosts"),
    LogPath: wasStarted && hostConfig.LogConfig.Type === "json-file" ? paths.containerLog(facts.roots, container.id) : "",
    Name: `/${container.name}`,
    RestartCount: container.restartCount,
    Driver: facts.driver,
    Platform: container.platform,
    MountLabel: "",
    ProcessLabel: "",
    AppArmorProfile: facts.appArmorProfile,
    ExecIDs: facts.execIds.length === 0 ? null : facts.execIds,
    HostConfig: hostConfigJson(hostConfig, facts.links),
    GraphDriver: { Data: facts.layerData, Name: facts.driver },
    ...(facts.sizes === undefined ? {} : { SizeRw: facts.sizes.writableBytes, SizeRootFs: facts.sizes.totalBytes }),
    Mounts: container.mounts.map(mountPointJson),
    Config: configJson(config),
    NetworkSettings: networkSettingsJson(container, facts),
  };
}

function stateJson(container: Container): Record<string, unknown> {
  const { state } = container;
  const common = { Status: statusOf(container), Running: false, Paused: false, Restarting: false, OOMKilled: false, Dead: false, Pid: 0 };
  const never = { StartedAt: ZERO_TIME, FinishedAt: ZERO_TIME };
  switch (state.status) {
    case "created":
      return { ...common, ExitCode: state.exitCode, Error: state.error, ...never };
    case "running": {
      const times = { ...never, StartedAt: formatTime(state.startedAtNs) };
      return { ...common, Running: true, Paused: state.paused, Pid: state.pid, ExitCode: 0, Error: "", ...times };
    }
    case "restarting":
    case "exited":
    case "removing":
    case "dead": {
      const { exitCode, error, oomKilled, finishedAtNs } = state.ended;
      // A container that waits for its next start counts as running (moby SetRestarting).
      const isRestarting = state.status === "restarting";
      return {
        ...common,
        Running: isRestarting,
        Restarting: isRestarting,
        OOMKilled: oomKilled,
        Dead: state.status === "dead",
        ExitCode: exitCode,
        Error: error,
        StartedAt: timeJson(state.startedAtNs),
        FinishedAt: timeJson(finishedAtNs),
      };
    }
  }
}

function timeJson(ns: bigint): string {
  return ns === 0n ? ZERO_TIME : formatTime(ns);
}

function networkSettingsJson(container: Container, { roots, endpoints, networkId }: ContainerFacts): Record<string, unknown> {
  const networks = endpointSettingsOf(container, endpoints, networkId);
  const bridge = networks["bridge"];
  const ports = publishedPorts(container, endpoints).map(({ port, protocol, bindings }): [string, unknown] => [
    `${port}/${protocol}`,
    bindings.length === 0 ? null : bindings,
  ]);
  const isJoined = container.state.status === "running" && namespaceMode(container.hostConfig.NetworkMode) === "own";
  return {
    Bridge: "",
    SandboxID: isJoined ? container.id : "",
    SandboxKey: isJoined ? `${paths.netns(roots)}/${container.id}` : "",
    Ports: Object.fromEntries(ports),
    HairpinMode: false,
    LinkLocalIPv6Address: "",
    LinkLocalIPv6PrefixLen: 0,
    SecondaryIPAddresses: null,
    SecondaryIPv6Addresses: null,
    // The same once more, for clients older than user-defined networks.
    EndpointID: bridge?.EndpointID ?? "",
    Gateway: bridge?.Gateway ?? "",
    GlobalIPv6Address: bridge?.GlobalIPv6Address ?? "",
    GlobalIPv6PrefixLen: bridge?.GlobalIPv6PrefixLen ?? 0,
    IPAddress: bridge?.IPAddress ?? "",
    IPPrefixLen: bridge?.IPPrefixLen ?? 0,
    IPv6Gateway: bridge?.IPv6Gateway ?? "",
    MacAddress: bridge?.MacAddress ?? "",
    Networks: networks,
  };
}

function appArmorProfileOf({ hostConfig }: Container, { host }: InspectSources): string {
  if (host.appArmor === undefined) return "";
  if (hostConfig.Privileged) return "unconfined";
  const named = hostConfig.SecurityOpt?.find((option) => /^apparmor[=:]/.test(option))?.slice("apparmor=".length);
  return named ?? (host.appArmor.profiles.has(DEFAULT_APPARMOR_PROFILE) ? DEFAULT_APPARMOR_PROFILE : "");
}

/** Finds a network's id by its name; empty for one that is not there. Asks once for all. */
export function networkIdFinder(networks: Pick<Networks, "list">): (name: string) => string {
  let byName: Map<string, string> | undefined;
  return (name) => {
    byName ??= new Map(networks.list(new Map()).map((network) => [network.Name, network.Id]));
    return byName.get(name) ?? "";
  };
}

/** Bytes of the writable layer alone, and with all the image's layers below it. */
export async function sizesOf(
  container: InspectedContainer,
  layers: Pick<LayerDriver, "describe" | "measureWritable">,
): Promise<{ writableBytes: number; totalBytes: number }> {
  const writableBytes = await layers.measureWritable(container.id);
  let totalBytes = writableBytes;
  for (let chainId = container.chainId; chainId !== undefined;) {
    const layer = layers.describe(chainId);
    totalBytes += layer?.bytes ?? 0;
    chainId = layer?.parent;
  }
  return { writableBytes, totalBytes };
}

import type { NetworkingConfig } from "../../api/container-config.ts";
import type { Endpoint } from "../networks/networks.ts";
import type { Container } from "./container.ts";
import { sharedContainer } from "./namespace-modes.ts";

/** A container on one network, in the shape of Engine API 1.50, EndpointSettings. */
export interface EndpointSettings {
  IPAMConfig: Record<string, unknown> | null;
  Links: string[] | null;
  Aliases: string[] | null;
  MacAddress: string;
  DriverOpts: Record<string, string> | null;
  GwPriority: number;
  NetworkID: string;
  EndpointID: string;
  Gateway: string;
  IPAddress: string;
  IPPrefixLen: number;
  IPv6Gateway: string;
  GlobalIPv6Address: string;
  GlobalIPv6PrefixLen: number;
  DNSNames: string[] | null;
}

type Asked = NetworkingConfig["EndpointsConfig"] extends Map<string, infer T> ? NonNullable<T> : never;

/**
 * The networks of a container by name: those it is on, and while it does not run those it will be on. A container that shares another's
 * network has none of its own. `networkId` finds the id of a network that is there.
 */
export function endpointSettingsOf(
  container: Pick<Container, "hostConfig" | "networking" | "state" | "id" | "name">,
  endpoints: readonly Endpoint[],
  networkId: (name: string) => string,
): Record<string, EndpointSettings> {
  const { NetworkMode } = container.hostConfig;
  if (sharedContainer(NetworkMode) !== undefined) return {};
  const names = new Set([...container.networking.EndpointsConfig.keys(), ...endpoints.map((one) => one.networkName)]);
  const hasStarted = container.state.status !== "created";
  const result: Record<string, EndpointSettings> = {};
  for (const name of names) {
    const endpoint = endpoints.find((one) => one.networkName === name || one.networkId === name);
    const asked = container.networking.EndpointsConfig.get(name);
    result[endpoint?.networkName ?? name] = {
      IPAMConfig: asked?.IPAMConfig === undefined ? null : ipamConfig(asked),
      Links: asked?.Links ?? null,
      Aliases: asked?.Aliases ?? null,
      MacAddress: endpoint?.macAddress ?? "",
      DriverOpts: asked?.DriverOpts === undefined ? null : Object.fromEntries(asked.DriverOpts),
      GwPriority: asked?.GwPriority ?? 0,
      NetworkID: endpoint?.networkId ?? (hasStarted ? networkId(name) : ""),
      EndpointID: endpoint?.endpointId ?? "",
      Gateway: endpoint?.gateway ?? "",
      IPAddress: endpoint?.ipv4Address ?? "",
      IPPrefixLen: endpoint?.ipv4PrefixLength ?? 0,
      IPv6Gateway: endpoint?.ipv6Gateway ?? "",
      GlobalIPv6Address: endpoint?.ipv6Address ?? "",
      GlobalIPv6PrefixLen: endpoint?.ipv6PrefixLength ?? 0,
      DNSNames: endpoint === undefined || endpoint.dnsNames.length === 0 ? null : endpoint.dnsNames,
    };
  }
  return result;
}

function ipamConfig({ IPAMConfig }: Asked): Record<string, unknown> {
  const { IPv4Address = "", IPv6Address = "", LinkLocalIPs } = IPAMConfig ?? {};
  return {
    ...(IPv4Address === "" ? {} : { IPv4Address }),
    ...(IPv6Address === "" ? {} : { IPv6Address }),
    ...(LinkLocalIPs === undefined || LinkLocalIPs.length === 0 ? {} : { LinkLocalIPs }),
  };
}

export interface PublishedPort {
  port: number;
  protocol: string;
  /** Where it can be reached; empty for one that is only exposed. */
  bindings: { HostIp: string; HostPort: string }[];
}

/** What a running container exposes and publishes, by port. Nothing while it does not run, and nothing without a network of its own. */
export function publishedPorts(
  container: Pick<Container, "config" | "hostConfig" | "state">,
  endpoints: readonly Endpoint[],
): PublishedPort[] {
  const isJoined = endpoints.some((endpoint) => endpoint.ipv4Address !== "" || endpoint.ipv6Address !== "");
  if (container.state.status !== "running" || !isJoined) return [];
  const { ExposedPorts } = container.config;
  const { PortBindings } = container.hostConfig;
  if (ExposedPorts === undefined && PortBindings === undefined) return [];
  const byKey = new Map<string, PublishedPort>();
  for (const key of [...(ExposedPorts?.keys() ?? []), ...(PortBindings?.keys() ?? [])]) {
    const [digits = "", protocol = "tcp"] = key.split("/");
    byKey.set(`${digits}/${protocol}`, { port: Number(digits), protocol, bindings: [] });
  }
  for (const binding of endpoints.flatMap((endpoint) => endpoint.ports)) {
    const key = `${binding.containerPort}/${binding.protocol}`;
    const published = byKey.get(key) ?? { port: binding.containerPort, protocol: binding.protocol, bindings: [] };
    published.bindings.push({ HostIp: binding.hostAddress, HostPort: String(binding.hostPort) });
    byKey.set(key, published);
  }
  return [...byKey.values()].sort((a, b) => a.port - b.port || (a.protocol < b.protocol ? -1 : 1));
}

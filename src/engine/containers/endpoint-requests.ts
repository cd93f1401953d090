import type { NetworkingConfig } from "../../api/container-config.ts";
import { PREDEFINED } from "../networks/network-records.ts";
import type { EndpointRequest } from "../networks/networks.ts";
import type { Container } from "./container.ts";

type Asked = NetworkingConfig["EndpointsConfig"] extends Map<string, infer T> ? T : never;

type Named = Pick<Container, "id" | "name" | "config">;

/** What a container asks of its networks: that of its mode first, the others by name. */
export function endpointRequestsOf(container: Named & Pick<Container, "hostConfig" | "networking">): EndpointRequest[] {
  const mode = container.hostConfig.NetworkMode;
  const { EndpointsConfig: asked } = container.networking;
  const names = [...asked.keys()].toSorted((a, b) => Number(b === mode) - Number(a === mode) || (a < b ? -1 : 1));
  return names.map((name) => endpointRequestOf(container, name, asked.get(name)));
}

export function endpointRequestOf(container: Named, network: string, asked: Asked): EndpointRequest {
  return {
    network,
    ipv4Address: asked?.IPAMConfig?.IPv4Address || undefined,
    ipv6Address: asked?.IPAMConfig?.IPv6Address || undefined,
    macAddress: asked?.MacAddress || undefined,
    linkName: asked?.DriverOpts?.get(LINK_NAME_OPTION) || undefined,
    dnsNames: isUserDefined(network) ? dnsNamesOf(container, asked?.Aliases ?? []) : [],
    links: isUserDefined(network) ? (asked?.Links ?? []) : [],
    linkedPorts: [],
    gatewayPriority: asked?.GwPriority ?? 0,
  };
}

/** `--network name=…,driver-opt=com.docker.network.endpoint.ifname=…` (Docker 28). */
export const LINK_NAME_OPTION = "com.docker.network.endpoint.ifname";

/** Names are only for networks that somebody made. */
export function isUserDefined(network: string): boolean {
  return !PREDEFINED.some(({ name }) => name === network) && network !== "default";
}

/** Under which names others find a container: its own, its aliases, its short id, its hostname (moby buildEndpointDNSNames). */
function dnsNamesOf({ id, name, config }: Named, aliases: readonly string[]): string[] {
  return [...new Set([name, ...aliases, id.slice(0, 12), ...(config.Hostname === "" ? [] : [config.Hostname])])];
}

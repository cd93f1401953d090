import { NAME_SERVER } from "../../kernel/net/name-sockets.ts";
import { foldName, type NamedEndpoint } from "./dns/names.ts";
import type { DnsView } from "./dns/resolver.ts";
import { endpointsOfContainer, type EndpointRecord } from "./endpoint-records.ts";
import { allNetworks, isPredefined } from "./network-records.ts";
import type { NameServerSettings } from "./networks.ts";
import { namespaceFile, type NetworkParts } from "./parts.ts";

/** Serves names to a container that has joined: those of its networks, and of the servers it is given for all others. */
export async function serveNames(parts: NetworkParts, containerId: string, settings: NameServerSettings): Promise<void> {
  const endpoints = endpointsOfContainer(parts.database, containerId);
  if (endpoints.length === 0) return;
  await parts.dns.serve(containerId, namespaceFile(parts, containerId), viewOf(parts, endpoints, settings));
}

/** Others on its network find a container from now on. */
export function publishNames({ dns }: NetworkParts, endpoint: EndpointRecord): void {
  if (endpoint.dnsNames.length > 0) dns.put(namedEndpoint(endpoint));
}

function namedEndpoint({ endpointId, networkId, dnsNames, ipv4Address, ipv6Address }: EndpointRecord): NamedEndpoint {
  return { endpointId, networkId, names: dnsNames, ipv4Address, ipv6Address };
}

function viewOf({ database }: NetworkParts, endpoints: readonly EndpointRecord[], settings: NameServerSettings): DnsView {
  const networks = allNetworks(database).filter(({ id }) => endpoints.some(({ networkId }) => networkId === id));
  return {
    networks: endpoints
      .filter(({ networkName }) => !isPredefined({ name: networkName }))
      .map(({ networkId, networkName, links }) => ({ id: networkId, name: networkName, links: Object.fromEntries(links.map(parseLink)) })),
    forwards: networks.some(({ internal, driver }) => !internal && driver !== "null"),
    keepsSingleLabels: settings.keepsSingleLabels,
    // One that named its own server as the one to ask would ask itself for ever.
    upstreams: settings.upstreams.filter(({ address, fromHost }) => fromHost || address !== NAME_SERVER),
  };
}

/** `name:alias` */
function parseLink(link: string): [alias: string, name: string] {
  const [name = "", alias = name] = link.split(":");
  return [foldName(alias), name];
}

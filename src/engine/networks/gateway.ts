import { failpoint } from "../../base/failpoint.ts";
import type { DefaultRoute } from "../../kernel/net/bridge.ts";
import { endpointsOfContainer, updateEndpoint, type EndpointRecord } from "./endpoint-records.ts";
import { allNetworks, type NetworkRecord } from "./network-records.ts";
import type { PortRequest } from "./networks.ts";
import { driverOf, namespaceFile, type NetworkParts } from "./parts.ts";

interface Candidate {
  network: Pick<NetworkRecord, "name" | "internal" | "driver" | "pools">;
  request: { gatewayPriority: number };
}

/**
 * A container's networks in the order in which they are asked for its default routes and for its ports: the highest priority, then those
 * that lead outside, then those of both families, then by name (moby libnetwork, Endpoint.Less and selectGatewayEndpoint).
 */
export function rankNetworks<T extends Candidate>(candidates: readonly T[]): T[] {
  return candidates
    .filter(({ network }) => network.driver === "bridge")
    .toSorted(
      (a, b) =>
        b.request.gatewayPriority - a.request.gatewayPriority ||
        Number(a.network.internal) - Number(b.network.internal) ||
        b.network.pools.length - a.network.pools.length ||
        (a.network.name < b.network.name ? -1 : 1),
    );
}

/**
 * Brings the default route and the published ports of a container that runs to where they belong now. Ports that are published keep their
 * numbers; `ports` are those to publish when none are.
 */
export async function settleGateway(parts: NetworkParts, containerId: string, ports: readonly PortRequest[]): Promise<void> {
  const { database, kernel } = parts;
  const networks = new Map(allNetworks(database).map((network) => [network.id, network]));
  const candidates = endpointsOfContainer(database, containerId).flatMap((endpoint) => {
    const network = networks.get(endpoint.networkId);
    return network === undefined ? [] : [{ network, endpoint, request: endpoint }];
  });
  const ranked = rankNetworks(candidates);
  const [best] = ranked;
  const before = candidates.filter(({ endpoint }) => endpoint.isGateway);
  if (best === undefined && before.length === 0) return;

  const published = before.flatMap(({ endpoint }) => endpoint.ports).map(requestOf);
  for (const { network, endpoint } of before) {
    if (endpoint === best?.endpoint) continue;
    await driverOf(parts, network).withdraw(network, endpoint);
    updateEndpoint(database, { ...endpoint, isGateway: false, ports: [] });
  }
  failpoint("network.settle.withdrawn");
  await kernel.call("setDefaultRoutes", namespaceFile(parts, containerId), defaultRoutes(ranked));
  failpoint("network.settle.routes");
  if (best === undefined || (best.endpoint.isGateway && best.endpoint.ports.length > 0)) return;
  const gateway = { ...best.endpoint, isGateway: true };
  updateEndpoint(database, gateway);
  const joined = await driverOf(parts, best.network).publish(best.network, gateway, published.length > 0 ? published : ports);
  updateEndpoint(database, joined);
}

/** Of each family by the first network that leads outside and has it. */
export function defaultRoutes(ranked: readonly { network: Pick<NetworkRecord, "internal">; endpoint: EndpointRecord }[]): DefaultRoute[] {
  const outward = ranked.filter(({ network }) => !network.internal).map(({ endpoint }) => endpoint);
  const ipv4 = outward.find(({ ipv4Address }) => ipv4Address !== "");
  const ipv6 = outward.find(({ ipv6Address }) => ipv6Address !== "");
  return [
    ...(ipv4 === undefined ? [] : [{ link: ipv4.containerLink, gateway: ipv4.gateway }]),
    ...(ipv6 === undefined ? [] : [{ link: ipv6.containerLink, gateway: ipv6.ipv6Gateway }]),
  ];
}

/** The same port again, as it was chosen. */
export function requestOf({ containerPort, protocol, hostAddress, hostPort }: EndpointRecord["ports"][number]): PortRequest {
  return { containerPort, protocol, hostAddress, hostPort, hostPortEnd: hostPort };
}

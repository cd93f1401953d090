import { failpoint } from "../../base/failpoint.ts";
import { endpointsOfContainer, updateEndpoint, type EndpointRecord } from "./endpoint-records.ts";
import { allNetworks, type NetworkRecord } from "./network-records.ts";
import type { PortRequest } from "./networks.ts";
import { driverOf, namespaceFile, type NetworkParts } from "./parts.ts";

interface Candidate {
  network: Pick<NetworkRecord, "name" | "internal" | "driver">;
  request: { gatewayPriority: number };
}

/**
 * Of a container's networks the one that its default route goes by and that its ports are published on: the highest priority, then one
 * that leads outside, then the first by name (moby libnetwork, Endpoint.Less).
 */
export function chooseGateway<T extends Candidate>(candidates: readonly T[]): T | undefined {
  const [best] = candidates
    .filter(({ network }) => network.driver === "bridge")
    .toSorted(
      (a, b) =>
        b.request.gatewayPriority - a.request.gatewayPriority ||
        Number(a.network.internal) - Number(b.network.internal) ||
        (a.network.name < b.network.name ? -1 : 1),
    );
  return best;
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
  const best = chooseGateway(candidates);
  const before = candidates.filter(({ endpoint }) => endpoint.isGateway);
  if (best === undefined ? before.length === 0 : before.length === 1 && before[0] === best) return;

  const published = before.flatMap(({ endpoint }) => endpoint.ports).map(requestOf);
  for (const { network, endpoint } of before) {
    if (endpoint === best?.endpoint) continue;
    await driverOf(parts, network).withdraw(network, endpoint);
    updateEndpoint(database, { ...endpoint, isGateway: false, ports: [] });
  }
  failpoint("network.settle.withdrawn");
  await kernel.call("setDefaultRoutes", namespaceFile(parts, containerId), best === undefined ? [] : defaultRoutes(best));
  failpoint("network.settle.routes");
  if (best === undefined || best.endpoint.isGateway) return;
  const gateway = { ...best.endpoint, isGateway: true };
  updateEndpoint(database, gateway);
  const joined = await driverOf(parts, best.network).publish(best.network, gateway, published.length > 0 ? published : ports);
  updateEndpoint(database, joined);
}

function defaultRoutes({ network, endpoint }: { network: NetworkRecord; endpoint: EndpointRecord }): { link: string; gateway: string }[] {
  if (network.internal) return [];
  const { containerLink: link } = endpoint;
  return [
    ...(endpoint.ipv4Address === "" ? [] : [{ link, gateway: endpoint.gateway }]),
    ...(endpoint.ipv6Address === "" ? [] : [{ link, gateway: endpoint.ipv6Gateway }]),
  ];
}

/** The same port again, as it was chosen. */
export function requestOf({ containerPort, protocol, hostAddress, hostPort }: EndpointRecord["ports"][number]): PortRequest {
  return { containerPort, protocol, hostAddress, hostPort, hostPortEnd: hostPort };
}

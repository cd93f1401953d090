import { EngineError, messageOf } from "../../base/errors.ts";
import { failpoint } from "../../base/failpoint.ts";
import { endpointsOfContainer, releaseEndpoint, type EndpointRecord } from "./endpoint-records.ts";
import { requestOf, settleGateway } from "./gateway.ts";
import { allNetworks } from "./network-records.ts";
import type { PortRequest } from "./networks.ts";
import { namespaceFile, type NetworkParts } from "./parts.ts";

/**
 * Takes everything back that a container has on its networks. Goes on past failures and rejects with them at the end. An endpoint that
 * could not be taken down whole is kept with its lease, since its address may still answer; the next leave, join or start of the daemon
 * tries again.
 */
export async function leaveNetworks(parts: NetworkParts, containerId: string): Promise<void> {
  const { database, dns, kernel } = parts;
  const networks = allNetworks(database);
  const failures: unknown[] = [];
  const takenDown: EndpointRecord[] = [];
  for (const endpoint of endpointsOfContainer(database, containerId)) {
    const network = networks.find((candidate) => candidate.id === endpoint.networkId);
    dns.remove(endpoint.endpointId);
    try {
      if (network) await parts.drivers[network.driver]?.tearDownEndpoint(network, endpoint);
      takenDown.push(endpoint);
    } catch (error) {
      failures.push(error);
    }
  }
  failpoint("network.leave.endpoints");
  // Its sockets would keep the namespace alive.
  await dns.close(containerId);
  await kernel.call("removeNamespace", namespaceFile(parts, containerId));
  failpoint("network.leave.namespace");
  for (const endpoint of takenDown) releaseEndpoint(database, endpoint);
  if (failures.length > 0) {
    throw new EngineError("system", `container ${containerId} leaves its networks: ${failures.map(messageOf).join("; ")}`, {
      cause: new AggregateError(failures),
    });
  }
}

/**
 * Takes a container that runs off one network; its namespace and its other networks stay. What is published is published on another of
 * them then; `ports` where nothing is.
 */
export async function detachEndpoint(parts: NetworkParts, endpoint: EndpointRecord, ports: readonly PortRequest[]): Promise<void> {
  const network = allNetworks(parts.database).find((candidate) => candidate.id === endpoint.networkId);
  parts.dns.remove(endpoint.endpointId);
  if (network !== undefined) {
    const driver = parts.drivers[network.driver];
    await driver?.tearDownEndpoint(network, endpoint);
    failpoint("network.detach.endpoint");
    await driver?.unplug(network, endpoint);
  }
  failpoint("network.detach.link");
  releaseEndpoint(parts.database, endpoint);
  await settleGateway(parts, endpoint.containerId, endpoint.ports.length > 0 ? endpoint.ports.map(requestOf) : ports);
}

import { messageOf } from "../../base/errors.ts";
import { failpoint } from "../../base/failpoint.ts";
import { endpointsOfContainer, releaseEndpoint } from "./endpoint-records.ts";
import { allNetworks } from "./network-records.ts";
import { namespaceFile, type NetworkParts } from "./parts.ts";

/**
 * Takes everything back that a container has on its networks. Goes on past failures. A lease whose namespace could not be removed is
 * kept, since its address may still answer; the next join, leave or start of the daemon tries again.
 */
export async function leaveNetworks(parts: NetworkParts, containerId: string): Promise<void> {
  const { database, kernel, log } = parts;
  const networks = allNetworks(database);
  const endpoints = endpointsOfContainer(database, containerId);
  for (const endpoint of endpoints) {
    const network = networks.find((candidate) => candidate.id === endpoint.networkId);
    try {
      if (network) await parts.drivers[network.driver]?.tearDownEndpoint(network, endpoint);
    } catch (error) {
      log.warn({ container: containerId, network: endpoint.networkName, error: messageOf(error) }, "leaving a network");
    }
  }
  failpoint("network.leave.endpoints");
  await kernel.call("removeNamespace", namespaceFile(parts, containerId));
  failpoint("network.leave.namespace");
  for (const endpoint of endpoints) releaseEndpoint(database, endpoint);
}

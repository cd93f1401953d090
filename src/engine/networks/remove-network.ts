import { EngineError, messageOf } from "../../base/errors.ts";
import { failpoint } from "../../base/failpoint.ts";
import { readPruneFilter } from "../../base/prune-filter.ts";
import { parseTimestamp } from "../../base/time.ts";
import { allEndpoints, endpointsOfNetwork } from "./endpoint-records.ts";
import { allNetworks, deleteNetwork, findNetwork, isPredefined, saveNetwork, type NetworkRecord } from "./network-records.ts";
import { driverOf, type NetworkParts } from "./parts.ts";

/**
 * `DELETE /networks/{id}`. That it is being removed is written down first: from then on nobody joins it, and a start after a crash
 * finishes the removal.
 */
export async function removeNetwork(parts: NetworkParts, nameOrId: string): Promise<NetworkRecord> {
  const { database } = parts;
  const network = findNetwork(allNetworks(database), nameOrId);
  if (isPredefined(network)) throw new EngineError("forbidden", `${network.name} is a pre-defined network and cannot be removed`);
  const users = endpointsOfNetwork(database, network.id);
  if (users.length > 0) {
    const named = users.map(({ containerName, endpointId }) => `name:"${containerName}" id:"${endpointId.slice(0, 12)}"`);
    throw new EngineError("forbidden", `error while removing network: network ${network.name} has active endpoints (${named.join(", ")})`);
  }
  saveNetwork(database, { ...network, removing: true });
  failpoint("network.remove.marked");
  try {
    await finishRemoval(parts, network);
  } catch (error) {
    await driverOf(parts, network).setUp(network);
    saveNetwork(database, network);
    throw new EngineError("system", `error while removing network: ${messageOf(error)}`, { cause: error });
  }
  await database.durable();
  return network;
}

/** What is left to do of a network that nobody is on any more. */
export async function finishRemoval(parts: NetworkParts, network: NetworkRecord): Promise<void> {
  await driverOf(parts, network).tearDown(network);
  failpoint("network.remove.down");
  deleteNetwork(parts.database, network);
}

/** `POST /networks/prune`: goes on past networks that cannot be removed. */
export async function pruneNetworks(parts: NetworkParts, filters: ReadonlyMap<string, readonly string[]>): Promise<NetworkRecord[]> {
  const matches = readPruneFilter(filters);
  const removed: NetworkRecord[] = [];
  const inUse = new Set(allEndpoints(parts.database).map(({ networkId }) => networkId));
  for (const network of allNetworks(parts.database)) {
    if (isPredefined(network) || network.removing === true || inUse.has(network.id)) continue;
    const createdNs = parseTimestamp(network.created) ?? 0n;
    if (!matches({ createdNs, labels: new Map(Object.entries(network.labels)) })) continue;
    try {
      removed.push(await removeNetwork(parts, network.id));
    } catch (error) {
      parts.log.warn({ network: network.name, error: messageOf(error) }, "prune");
    }
  }
  return removed;
}

import { codeOf } from "../../base/errors.ts";
import { failpoint } from "../../base/failpoint.ts";
import { newId } from "../../base/ids.ts";
import { Undo } from "../../base/undo.ts";
import type { KernelWorker } from "../../kernel/net/kernel-worker.ts";
import { LINK_PREFIX } from "../../kernel/net/links.ts";
import { macOf, parseAddress, requireSubnet } from "./addresses.ts";
import { endpointsOfContainer, leaseEndpoint, releaseEndpoint, updateEndpoint, type EndpointRecord } from "./endpoint-records.ts";
import { leaveNetworks } from "./leave.ts";
import type { NetworkRecord } from "./network-records.ts";
import type { JoinRequest } from "./networks.ts";
import { driverOf, namespaceFile, type NetworkParts } from "./parts.ts";

/** Gives a container its namespace on one network: lease, namespace, then what the driver makes of it. */
export async function joinNetwork(parts: NetworkParts, network: NetworkRecord, request: JoinRequest): Promise<EndpointRecord> {
  const { database, kernel, log } = parts;
  const driver = driverOf(parts, network);
  // Something of it could not be taken back when it left.
  if (endpointsOfContainer(database, request.containerId).length > 0) await leaveNetworks(parts, request.containerId);

  await using undo = new Undo((message) => log.warn(message));
  const endpoint = leaseEndpoint(database, network, request.containerId, request.ipv4Address, (address) =>
    newEndpoint(network, request, address),
  );
  undo.defer("releasing the address", () => releaseEndpoint(database, endpoint));
  failpoint("network.join.lease");

  const file = namespaceFile(parts, request.containerId);
  await createNamespace(kernel, file);
  undo.defer("removing the namespace", () => kernel.call("removeNamespace", file));
  failpoint("network.join.namespace");

  const joined = await driver.setUpEndpoint(network, endpoint, file, request.ports);
  undo.defer("tearing the endpoint down", () => driver.tearDownEndpoint(network, joined));
  failpoint("network.join.endpoint");

  if (joined.ports.length > 0) updateEndpoint(database, joined);
  undo.keep();
  return joined;
}

/** A file that a crash left is nobody's: the container's endpoint is ours since a moment ago. */
async function createNamespace(kernel: KernelWorker, file: string): Promise<void> {
  try {
    await kernel.call("createNamespace", file);
  } catch (error) {
    if (codeOf(error) !== "EEXIST") throw error;
    await kernel.call("removeNamespace", file);
    await kernel.call("createNamespace", file);
  }
}

/** `address` is absent on a network that hands out none. */
function newEndpoint(network: NetworkRecord, request: JoinRequest, address: string | undefined): EndpointRecord {
  const endpointId = newId();
  const endpoint: EndpointRecord = {
    containerId: request.containerId,
    containerName: request.containerName,
    networkId: network.id,
    networkName: network.name,
    endpointId,
    hostLink: "",
    macAddress: "",
    ipv4Address: "",
    ipv4PrefixLength: 0,
    gateway: "",
    ports: [],
  };
  if (address === undefined) return endpoint;
  return {
    ...endpoint,
    // Not from the container's id: the link of its last run lives on for a moment when it is restarted.
    hostLink: `${LINK_PREFIX}${endpointId.slice(0, 10)}`,
    macAddress: request.macAddress ?? macOf(parseAddress(address) ?? 0),
    ipv4Address: address,
    ipv4PrefixLength: requireSubnet(network.ipv4Subnet ?? "").prefixLength,
    gateway: network.gateway ?? "",
  };
}

import { codeOf, EngineError } from "../../base/errors.ts";
import { failpoint } from "../../base/failpoint.ts";
import { newId } from "../../base/ids.ts";
import { Undo } from "../../base/undo.ts";
import type { KernelWorker } from "../../kernel/net/kernel-worker.ts";
import { LINK_PREFIX } from "../../kernel/net/links.ts";
import {
  endpointsOfContainer,
  leaseEndpoint,
  releaseEndpoint,
  updateEndpoint,
  type EndpointRecord,
  type Lease,
} from "./endpoint-records.ts";
import { defaultRoutes, rankNetworks, settleGateway } from "./gateway.ts";
import { detachEndpoint, leaveNetworks } from "./leave.ts";
import { requirePrefix } from "./leases.ts";
import { macOf } from "./mac-addresses.ts";
import { publishNames } from "./names-served.ts";
import { poolOf, type NetworkRecord } from "./network-records.ts";
import type { EndpointRequest, JoinRequest, Member, PortRequest } from "./networks.ts";
import { driverOf, namespaceFile, type NetworkParts } from "./parts.ts";

export interface PlannedEndpoint {
  network: NetworkRecord;
  request: EndpointRequest;
}

/** Gives a container its namespace on its networks: leases, namespace, then what the drivers make of each. */
export async function joinNetworks(
  parts: NetworkParts,
  member: Member,
  planned: readonly PlannedEndpoint[],
  ports: JoinRequest["ports"],
): Promise<EndpointRecord[]> {
  const { database, kernel, log } = parts;
  // Something of it could not be taken back when it left.
  if (endpointsOfContainer(database, member.containerId).length > 0) await leaveNetworks(parts, member.containerId);

  await using undo = new Undo((message) => log.warn(message));
  const [gateway] = rankNetworks(planned);
  const links = chooseLinks(planned);
  const leased = planned.map(({ network, request }, index) => {
    const endpoint = lease(parts, member, network, request, links[index] ?? "", network === gateway?.network);
    undo.defer("releasing the address", () => releaseEndpoint(database, endpoint));
    return { network, request, endpoint };
  });
  failpoint("network.join.lease");

  const file = namespaceFile(parts, member.containerId);
  await createNamespace(kernel, file);
  undo.defer("removing the namespace", () => kernel.call("removeNamespace", file));
  failpoint("network.join.namespace");

  for (const { network, endpoint } of leased) {
    const driver = driverOf(parts, network);
    undo.defer("tearing the endpoint down", () => driver.tearDownEndpoint(network, endpoint));
    await driver.setUpEndpoint(network, endpoint, file);
    undo.defer("withdrawing its names", () => parts.dns.remove(endpoint.endpointId));
    publishNames(parts, endpoint);
  }
  // With one network its link has them already.
  if (leased.length > 1) await kernel.call("setDefaultRoutes", file, defaultRoutes(rankNetworks(leased)));
  const joined: EndpointRecord[] = [];
  for (const { network, endpoint } of leased)
    joined.push(endpoint.isGateway ? await publishPorts(parts, undo, network, endpoint, ports) : endpoint);
  failpoint("network.join.endpoint");
  undo.keep();
  return joined;
}

/** Puts a container that runs on one more network. The default route and its ports move there if it is the better one. */
export async function connectNetwork(
  parts: NetworkParts,
  member: Member,
  { network, request }: PlannedEndpoint,
  ports: readonly PortRequest[],
): Promise<EndpointRecord> {
  const { database, log } = parts;
  const others = endpointsOfContainer(database, member.containerId);
  if (others.some((endpoint) => endpoint.networkId === network.id))
    throw new EngineError("forbidden", `endpoint with name ${member.containerName} already exists in network ${network.name}`);
  const driver = driverOf(parts, network);
  await using undo = new Undo((message) => log.warn(message));
  const endpoint = lease(
    parts,
    member,
    network,
    request,
    chooseLink(
      request.linkName,
      others.map(({ containerLink }) => containerLink),
    ),
    false,
  );
  const itself = (): EndpointRecord =>
    endpointsOfContainer(database, member.containerId).find(({ networkId }) => networkId === network.id) ?? endpoint;
  undo.defer("taking it off again", () => detachEndpoint(parts, itself(), ports));
  failpoint("network.attach.lease");
  await driver.setUpEndpoint(network, endpoint, namespaceFile(parts, member.containerId));
  publishNames(parts, endpoint);
  failpoint("network.attach.endpoint");
  await settleGateway(parts, member.containerId, ports);
  failpoint("network.attach.settled");
  undo.keep();
  return itself();
}

function lease(
  { database }: NetworkParts,
  member: Member,
  network: NetworkRecord,
  request: EndpointRequest,
  containerLink: string,
  isGateway: boolean,
): EndpointRecord {
  return leaseEndpoint(database, network, member.containerId, request, (addresses) =>
    newEndpoint(member, network, request, addresses, containerLink, isGateway),
  );
}

async function publishPorts(
  parts: NetworkParts,
  undo: Undo,
  network: NetworkRecord,
  endpoint: EndpointRecord,
  ports: readonly PortRequest[],
): Promise<EndpointRecord> {
  const driver = driverOf(parts, network);
  const published = await driver.publish(network, endpoint, ports);
  if (published.ports.length === 0) return endpoint;
  undo.defer("withdrawing its ports", () => driver.withdraw(network, published));
  updateEndpoint(parts.database, published);
  return published;
}

/** The name that was asked for, or the lowest of `eth0`, `eth1`, … that no other endpoint has. */
function chooseLink(asked: string | undefined, taken: readonly string[]): string {
  if (asked !== undefined) {
    if (taken.includes(asked))
      throw new EngineError("invalid", `interface name ${asked} is in use already in the container: choose another`);
    return asked;
  }
  for (let index = 0; ; index += 1) if (!taken.includes(`eth${index}`)) return `eth${index}`;
}

/** Of all of a container's links, in order: a name that is asked for is nobody else's. */
function chooseLinks(planned: readonly PlannedEndpoint[]): string[] {
  const asked = planned.flatMap(({ request }) => request.linkName ?? []);
  const chosen: string[] = [];
  for (const { request } of planned)
    chosen.push(chooseLink(request.linkName, request.linkName === undefined ? [...chosen, ...asked] : chosen));
  return chosen;
}

/** A file that a crash left is nobody's: the container's endpoints are ours since a moment ago. */
async function createNamespace(kernel: KernelWorker, file: string): Promise<void> {
  try {
    await kernel.call("createNamespace", file);
  } catch (error) {
    if (codeOf(error) !== "EEXIST") throw error;
    await kernel.call("removeNamespace", file);
    await kernel.call("createNamespace", file);
  }
}

function newEndpoint(
  { containerId, containerName }: Member,
  network: NetworkRecord,
  request: EndpointRequest,
  { ipv4Address, ipv6Address }: Lease,
  containerLink: string,
  isGateway: boolean,
): EndpointRecord {
  const endpointId = newId();
  const [ipv4Pool, ipv6Pool] = [poolOf(network, 4), poolOf(network, 6)];
  const hasLink = ipv4Address !== undefined || ipv6Address !== undefined;
  return {
    containerId,
    containerName,
    networkId: network.id,
    networkName: network.name,
    endpointId,
    // Not from the container's id: the link of its last run lives on for a moment when it is restarted.
    hostLink: hasLink ? `${LINK_PREFIX}${endpointId.slice(0, 10)}` : "",
    containerLink: hasLink ? containerLink : "",
    macAddress: hasLink ? (request.macAddress ?? macOf(ipv4Address ?? ipv6Address ?? "")) : "",
    ipv4Address: ipv4Address ?? "",
    ipv4PrefixLength: ipv4Pool === undefined ? 0 : requirePrefix(ipv4Pool.subnet).length,
    gateway: ipv4Pool?.gateway ?? "",
    ipv6Address: ipv6Address ?? "",
    ipv6PrefixLength: ipv6Pool === undefined ? 0 : requirePrefix(ipv6Pool.subnet).length,
    ipv6Gateway: ipv6Pool?.gateway ?? "",
    gatewayPriority: request.gatewayPriority,
    isGateway,
    dnsNames: request.dnsNames,
    links: request.links,
    linkedPorts: request.linkedPorts,
    ports: [],
  };
}

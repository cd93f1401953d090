import { messageOf } from "../../base/errors.ts";
import { LINK_PREFIX } from "../../kernel/net/links.ts";
import { paths } from "../../store/roots.ts";
import { allEndpoints, type EndpointRecord } from "./endpoint-records.ts";
import { detachEndpoint, leaveNetworks } from "./leave.ts";
import { publishNames } from "./names-served.ts";
import { allNetworks } from "./network-records.ts";
import { driverOf, namespaceFile, type NetworkParts } from "./parts.ts";

/**
 * Makes the kernel agree with the database after a crash, an upgrade or a reboot: endpoints of containers that run on get back what the
 * last daemon held for them, all others are taken back, and namespaces and links that nobody owns are removed.
 */
export async function restoreNetworks(parts: NetworkParts, runningContainerIds: readonly string[]): Promise<void> {
  const { database, kernel, log, roots } = parts;
  const running = new Set(runningContainerIds);
  for (const endpoint of allEndpoints(database)) {
    if (running.has(endpoint.containerId)) {
      // The last daemon died while its link was made or taken away.
      if (!(await resumeEndpoint(parts, endpoint))) await detachEndpoint(parts, endpoint, []);
    } else await leaveNetworks(parts, endpoint.containerId).catch((error: unknown) => complain(parts, endpoint.containerId, error));
  }

  const endpoints = allEndpoints(database);
  const bridges = allNetworks(database).flatMap((network) => (network.bridge ? [network.bridge.name] : []));
  const found = await kernel.call("listObjects", paths.netns(roots), bridges);
  const owners = new Set(endpoints.map((endpoint) => endpoint.containerId));
  for (const { name } of found.namespaces) {
    if (owners.has(name) || running.has(name)) continue;
    log.info({ namespace: name }, "removing a network namespace that nobody owns");
    await kernel.call("removeNamespace", namespaceFile(parts, name));
  }
  const links = new Set(endpoints.map((endpoint) => endpoint.hostLink));
  for (const { link } of found.ports) {
    // Others may have put links of theirs on the bridge.
    if (link.startsWith(LINK_PREFIX) && !links.has(link)) await kernel.call("removeLink", link);
  }
}

/**
 * Brings back what the daemon holds for one endpoint. A part that cannot be brought back is no reason to lose the others. False: it has no
 * link.
 */
export async function resumeEndpoint(parts: NetworkParts, endpoint: EndpointRecord): Promise<boolean> {
  const network = allNetworks(parts.database).find((candidate) => candidate.id === endpoint.networkId);
  if (network === undefined) return true;
  try {
    const isThere = await driverOf(parts, network).resumeEndpoint(network, endpoint);
    if (isThere) publishNames(parts, endpoint);
    return isThere;
  } catch (error) {
    complain(parts, endpoint.containerId, error);
    return true;
  }
}

function complain({ log }: NetworkParts, container: string, error: unknown): void {
  log.warn({ container, error: messageOf(error) }, "restoring a container's network");
}

import { createHash } from "node:crypto";
import { stat } from "node:fs/promises";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import { EngineError, messageOf } from "../../base/errors.ts";
import { KeyedLock } from "../../base/locks.ts";
import type { Log } from "../../base/log.ts";
import { openKernelWorker } from "../../kernel/net/kernel-worker.ts";
import type { FirewallElement } from "../../kernel/net/firewall.ts";
import type { FirewallWay } from "../../kernel/net/nftables.ts";
import type { KernelFeature } from "../../kernel/net/operations.ts";
import type { Database } from "../../store/database.ts";
import { paths, type Roots } from "../../store/roots.ts";
import type { Events } from "../events/events.ts";
import { openBridgeDriver } from "./bridge-driver.ts";
import { createNetwork } from "./create-network.ts";
import { configureDefaultNetwork, type DefaultNetworkOptions } from "./default-network.ts";
import { openDns } from "./dns/dns.ts";
import { allEndpoints, endpointsOfContainer, endpointsOfNetwork, updateEndpoint, type EndpointRecord } from "./endpoint-records.ts";
import { DECLARATIONS, endpointElements, HOST_SETS, networkElements, RULES } from "./firewall-rules.ts";
import { settleGateway } from "./gateway.ts";
import { connectNetwork, joinNetworks, type PlannedEndpoint } from "./join.ts";
import { expectedObjects, foundObjects } from "./kernel-objects.ts";
import { detachEndpoint, leaveNetworks } from "./leave.ts";
import { allNetworks, DEFAULT_NETWORK, ensurePredefined, findNetwork, isPredefined, type NetworkRecord } from "./network-records.ts";
import { publishNames, serveNames } from "./names-served.ts";
import { filterNetworks, networkResource } from "./network-resource.ts";
import type { Endpoint, EndpointRequest, Networks } from "./networks.ts";
import { nullDriver } from "./null-driver.ts";
import { driverOf, namespaceFile, type NetworkParts } from "./parts.ts";
import { checkFixedAddresses } from "./leases.ts";
import { openPortHolder, type DescriptorSafe } from "./port-holder.ts";
import { openPorts } from "./ports.ts";
import { finishRemoval, pruneNetworks, removeNetwork } from "./remove-network.ts";
import { restoreNetworks, resumeEndpoint } from "./restore.ts";
import { DEFAULT_POOLS, type SubnetPool } from "./subnets.ts";

export interface NetworksOptions {
  database: Database;
  roots: Roots;
  log: Log;
  events: Events;
  /** The program of the kernel worker thread (`bin/kernel-worker.ts`, or its bundle). */
  workerPath: string;
  /** The program of the DNS thread (`bin/dns-worker.ts`, or its bundle). */
  dnsWorkerPath: string;
  bridge?: DefaultNetworkOptions | undefined;
  /** Where sockets of published ports outlive the daemon; absent: they do not. */
  descriptors?: DescriptorSafe | undefined;
  /** `default-address-pools`; Docker's own when absent. */
  addressPools?: readonly SubnetPool[] | undefined;
  /** How the firewall is reached; the best way the machine has when absent. For tests of the others. */
  firewallWay?: FirewallWay | undefined;
  /** What of the kernel is not used although it is there. For tests of kernels without it. */
  without?: readonly KernelFeature[] | undefined;
  /** Takes the bridge and the firewall's table away when disposed of, which otherwise stay as Docker's do. For tests. */
  removeBridge?: boolean | undefined;
}

/** How often we look whether somebody changed the firewall, removed our bridge or plugged a link in. */
const WATCH_INTERVAL_MS = 1000;

/** How long the link of a container that left may still be seen. */
const LINK_SETTLE_MS = 1000;
const LINK_LOOK_MS = 50;

/** Starts the kernel worker, makes the default bridge and the firewall. Where they cannot be made, joining a bridge says why. */
export async function openNetworks(options: NetworksOptions): Promise<Networks> {
  const { database, roots, log } = options;
  // libuv's threads are born at the first asynchronous file call, in the namespace of the thread that makes it: this one's.
  await stat(roots.exec);
  const kernel = await openKernelWorker(options.workerPath, log);
  const dns = openDns({ kernel, log, workerPath: options.dnsWorkerPath });
  const holder = await openPortHolder(log, options.descriptors);
  const addressPools = options.addressPools ?? DEFAULT_POOLS;
  const drivers = { bridge: openBridgeDriver(kernel, openPorts(holder), log), null: nullDriver, host: undefined };
  const parts: NetworkParts = { database, roots, log, kernel, dns, drivers, addressPools };
  const locks = new KeyedLock();
  ensurePredefined(database);

  /** Networks that could not be set up. */
  const failed = new Set<string>();
  /** Firewall and bridges are there. Undefined when they could not be made; tried again at the next join. */
  let ready: Promise<void> | undefined;
  const ensureReady = (): Promise<void> => {
    ready ??= setUpNetworks(parts, options, failed).catch((error: unknown) => {
      ready = undefined;
      throw error;
    });
    return ready;
  };
  await ensureReady().catch((error: unknown) => log.warn({ error: messageOf(error) }, "bridge networks are not available"));

  async function watchHost(): Promise<void> {
    if (ready === undefined) return;
    try {
      await ready;
      const { healed, blocking, lostBridges } = await kernel.call("watchHost");
      if (healed) log.warn("the firewall's table was changed by another program: put back");
      warnOfBlocking(log, blocking);
      if (lostBridges.length === 0) return;
      log.warn({ bridges: lostBridges }, "a bridge was removed by another program: making it again");
      await locks.run("networks", async () => {
        ready = undefined;
        await ensureReady();
        for (const endpoint of allEndpoints(database)) await resumeEndpoint(parts, endpoint);
      });
    } catch (error) {
      log.error({ error: messageOf(error) }, "watching the host's network");
    }
  }
  function publish({ id, name, driver }: NetworkRecord, action: "create" | "destroy"): void {
    options.events.publish({ type: "network", action, actor: { id, attributes: { name, type: driver } } });
  }

  async function plan(requests: readonly EndpointRequest[]): Promise<PlannedEndpoint[]> {
    const find = (nameOrId: string): NetworkRecord => findNetwork(allNetworks(database), nameOrId);
    const wanted = requests.map(({ network }) => find(network));
    if (wanted.some(({ driver }) => driver === "bridge")) await ensureReady();
    for (const network of wanted.filter(({ id }) => failed.has(id))) {
      await setUpNetwork(parts, network);
      failed.delete(network.id);
    }
    return requests
      .map((request, index) => ({ request, id: wanted[index]?.id ?? "" }))
      .filter(({ id }, index) => wanted.findIndex((other) => other.id === id) === index)
      .map(({ request, id }) => {
        // Looked up again: it may have got its subnet just now.
        const network = find(id);
        checkFixedAddresses(network, request);
        return { network, request };
      });
  }

  let disposed = false;
  let watching = Promise.resolve();
  const watch = setInterval(() => {
    watching = watching.then(watchHost);
  }, WATCH_INTERVAL_MS).unref();

  return {
    list(filters) {
      const inUse = new Set(allEndpoints(database).map((endpoint) => endpoint.networkId));
      return filterNetworks(present(database), filters, inUse).map((network) => networkResource(network, []));
    },
    inspect(nameOrId) {
      const network = findNetwork(allNetworks(database), nameOrId);
      const endpoints = allEndpoints(database).filter((endpoint) => endpoint.networkId === network.id);
      return networkResource(network, endpoints);
    },
    idOf(nameOrId) {
      return present(database).find((network) => network.id === nameOrId || network.name === nameOrId)?.id;
    },
    // One after another: two must not choose the same name or subnet.
    create: (request) =>
      locks.run("networks", async () => {
        await ensureReady();
        const network = await createNetwork(parts, request);
        publish(network, "create");
        return network.id;
      }),
    remove: (nameOrId) => locks.run("networks", async () => publish(await removeNetwork(parts, nameOrId), "destroy")),
    prune: (filters) =>
      locks.run("networks", async () => {
        const removed = await pruneNetworks(parts, filters);
        for (const network of removed) publish(network, "destroy");
        options.events.publish({ type: "network", action: "prune", actor: { id: "", attributes: { reclaimed: "0" } } });
        return removed.map(({ name }) => name);
      }),

    join: ({ endpoints, ports, ...member }) =>
      locks.run(member.containerId, async () => {
        try {
          const joined = await joinNetworks(parts, member, await plan(endpoints), ports);
          return { netnsPath: namespaceFile(parts, member.containerId), endpoints: joined.map(publicEndpoint) };
        } catch (error) {
          const kind = error instanceof EngineError ? error.kind : "system";
          throw new EngineError(kind, `failed to set up container networking: ${messageOf(error)}`, { cause: error });
        }
      }),
    connect: ({ endpoint, ports, ...member }) =>
      locks.run(member.containerId, async () => {
        const [planned] = await plan([endpoint]);
        if (planned === undefined) throw new EngineError("invalid", "no network was named");
        return publicEndpoint(await connectNetwork(parts, member, planned, ports));
      }),
    disconnect: (containerId, networkId, ports) =>
      locks.run(containerId, async () => {
        const endpoint = endpointsOfContainer(database, containerId).find((each) => each.networkId === networkId);
        if (endpoint !== undefined) await detachEndpoint(parts, endpoint, ports);
      }),
    settle: (containerId, ports) => locks.run(containerId, () => settleGateway(parts, containerId, ports)),
    leave: (containerId) => locks.run(containerId, () => leaveNetworks(parts, containerId)),
    async restore(runningContainerIds) {
      await restoreNetworks(parts, runningContainerIds);
      await holder.releaseLeft();
    },
    endpointsOf: (containerId) => endpointsOfContainer(database, containerId).map(publicEndpoint),
    endpointsOn: (networkId) => endpointsOfNetwork(database, networkId),
    allow: (containerId, linkedPorts) =>
      locks.run(containerId, async () => {
        const endpoint = endpointsOfContainer(database, containerId).find(({ networkName }) => networkName === DEFAULT_NETWORK);
        if (endpoint === undefined) return;
        const changed = { ...endpoint, linkedPorts };
        updateEndpoint(database, changed);
        const [before, after] = [endpointElements(endpoint), endpointElements(changed)];
        const isIn = (list: FirewallElement[], { set, key }: FirewallElement): boolean =>
          list.some((other) => other.set === set && other.key === key);
        await kernel.call("changeFirewall", {
          add: after.filter((element) => !isIn(before, element)),
          remove: before.filter((element) => !isIn(after, element)),
        });
      }),
    rename(containerId, newName, dnsNames) {
      for (const endpoint of endpointsOfContainer(database, containerId)) {
        const renamed = { ...endpoint, containerName: newName, dnsNames: dnsNames(endpoint.networkName) };
        updateEndpoint(database, renamed);
        publishNames(parts, renamed);
      }
    },
    serveNames: (containerId, settings) => locks.run(containerId, () => serveNames(parts, containerId, settings)),

    expectedObjects: () => expectedObjects(allNetworks(database), allEndpoints(database)),
    async kernelObjects() {
      const bridges = allNetworks(database).flatMap((network) => (network.bridge ? [network.bridge.name] : []));
      const deadline = performance.now() + LINK_SETTLE_MS;
      for (;;) {
        const found = foundObjects(await kernel.call("listObjects", paths.netns(roots), bridges), holder.held());
        const links = new Set(allEndpoints(database).map((endpoint) => endpoint.hostLink));
        if (performance.now() > deadline || found.every(({ kind, name }) => kind !== "link" || links.has(name))) return found;
        await sleep(LINK_LOOK_MS);
      }
    },

    async [Symbol.asyncDispose]() {
      if (disposed) return;
      disposed = true;
      clearInterval(watch);
      await watching;
      if (options.removeBridge === true && ready !== undefined) {
        for (const network of allNetworks(database)) await drivers[network.driver]?.tearDown(network);
        await kernel.call("removeFirewall");
      }
      await dns[Symbol.asyncDispose]();
      await holder[Symbol.asyncDispose]();
      await kernel[Symbol.asyncDispose]();
    },
  };
}

/** Firewall first, then the bridges: nothing is reachable before its rules are there. */
async function setUpNetworks(parts: NetworkParts, options: NetworksOptions, failed: Set<string>): Promise<void> {
  const { database, kernel, roots, log } = parts;
  const { firewallWay: way = "owner", without = [], bridge = {} } = options;
  await configureDefaultNetwork(parts, bridge);
  const networks = allNetworks(database);
  const settings = {
    table: firewallTable(roots),
    declarations: [...DECLARATIONS],
    rules: [...RULES],
    elements: [...networks.flatMap(networkElements), ...allEndpoints(database).flatMap(endpointElements)],
    keep: [...HOST_SETS],
    scratchFile: path.join(roots.exec, "firewall.nft"),
    way,
  };
  const firewall = await kernel.call("openFirewall", settings, without);
  log.debug(firewall, "firewall ready");
  for (const network of networks.filter(({ driver }) => driver !== "host")) {
    try {
      await setUpNetwork(parts, network);
    } catch (error) {
      // One that cannot be made is no reason to go without the others.
      if (isPredefined(network)) throw error;
      log.error({ network: network.name, error: messageOf(error) }, "setting up a network: it is tried again when a container joins it");
      failed.add(network.id);
      // Its bridge would be missed every second.
      await kernel.call("changeFirewall", { add: [], remove: networkElements(network) });
    }
  }
  const { blocking } = await kernel.call("watchHost", true);
  warnOfBlocking(log, blocking);
}

async function setUpNetwork(parts: NetworkParts, network: NetworkRecord): Promise<void> {
  if (network.removing === true) return finishRemoval(parts, network);
  const driver = driverOf(parts, network);
  driver.validate(network);
  await driver.setUp(network);
}

function warnOfBlocking(log: Log, chains: string[]): void {
  if (chains.length > 0) log.warn({ chains }, "another firewall drops forwarded packets: let our bridges (tsubo*) pass there");
}

/** The table's name: `tsubo` for the default exec root, with a suffix of its own for each other, so that daemons run side by side. */
export function firewallTable(roots: Roots): string {
  if (roots.exec === "/run/tsubo") return "tsubo";
  return `tsubo_${createHash("sha256").update(roots.exec).digest("hex").slice(0, 8)}`;
}

function present(database: Database): NetworkRecord[] {
  return allNetworks(database).filter((network) => network.removing !== true);
}

function publicEndpoint(record: EndpointRecord): Endpoint {
  const { containerId: _containerId, containerName: _containerName, hostLink: _hostLink, ...endpoint } = record;
  return endpoint;
}

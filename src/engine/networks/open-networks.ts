import { createHash } from "node:crypto";
import { stat } from "node:fs/promises";
import path from "node:path";

import { codeOf, EngineError, messageOf } from "../../base/errors.ts";
import { failpoint } from "../../base/failpoint.ts";
import { newId } from "../../base/ids.ts";
import { KeyedLock } from "../../base/locks.ts";
import type { Log } from "../../base/log.ts";
import { Undo } from "../../base/undo.ts";
import { openKernelWorker, type KernelWorker } from "../../kernel/net/kernel-worker.ts";
import type { Database } from "../../store/database.ts";
import { paths, type Roots } from "../../store/roots.ts";
import { macOf, parseAddress, requireSubnet } from "./addresses.ts";
import { openBridgeDriver } from "./bridge-driver.ts";
import {
  allEndpoints,
  endpointsOfContainer,
  leaseEndpoint,
  releaseEndpoint,
  updateEndpoint,
  type EndpointRecord,
} from "./endpoint-records.ts";
import { DECLARATIONS, networkElements, portElements, RULES } from "./firewall-rules.ts";
import { allNetworks, ensurePredefined, findNetwork, saveNetwork, type NetworkRecord } from "./network-records.ts";
import type { NetworkDriver } from "./network-driver.ts";
import { filterNetworks, networkResource } from "./network-resource.ts";
import type { Endpoint, Joined, JoinRequest, Networks } from "./networks.ts";
import { nullDriver } from "./null-driver.ts";
import { openPortHolder } from "./port-holder.ts";
import { openPorts } from "./ports.ts";

export interface NetworksOptions {
  database: Database;
  roots: Roots;
  log: Log;
  /** The program of the kernel worker thread (`bin/kernel-worker.ts`, or its bundle). */
  workerPath: string;
  /** The default network's bridge. `address` is `--bip`: `172.17.0.1/16`. */
  bridge?: { name?: string | undefined; address?: string | undefined; mtu?: number | undefined } | undefined;
  /** Takes the bridge and the firewall's table away when disposed of, which otherwise stay as Docker's do. For tests. */
  removeBridge?: boolean | undefined;
}

/** Name of the default network's bridge. */
const DEFAULT_BRIDGE = "tsubo0";

/** All our links begin so, so that others can name them in their rules (`-i tsubo+`). */
const LINK_PREFIX = "tsubo";

/** How often we look whether somebody flushed our firewall. */
const WATCH_INTERVAL_MS = 1000;

/** Starts the kernel worker, makes the default bridge and the firewall. Where they cannot be made, joining a bridge says why. */
export async function openNetworks(options: NetworksOptions): Promise<Networks> {
  const { database, roots, log } = options;
  // libuv's threads are born at the first asynchronous file call, in the namespace of the thread that makes it: this one's.
  await stat(roots.exec);
  const kernel = await openKernelWorker(options.workerPath, log);
  const holder = openPortHolder();
  const ports = openPorts(holder);
  const drivers: Record<NetworkRecord["driver"], NetworkDriver | undefined> = {
    bridge: openBridgeDriver(kernel, ports, log),
    null: nullDriver,
    host: undefined,
  };
  const locks = new KeyedLock();
  ensurePredefined(database);
  configureDefaultBridge(database, options);

  /** Why there is no firewall or no default bridge; tried again at the next join. */
  let ready: Promise<void> | undefined;
  const ensureReady = (): Promise<void> => {
    ready ??= setUp(kernel, drivers, options).catch((error: unknown) => {
      ready = undefined;
      throw error;
    });
    return ready;
  };
  await ensureReady().catch((error: unknown) => log.warn({ error: messageOf(error) }, "bridge networks are not available"));

  async function watchFirewall(): Promise<void> {
    try {
      if (await kernel.call("watchFirewall")) log.warn("the firewall's table was changed by another program: put back");
    } catch (error) {
      log.error({ error: messageOf(error) }, "watching the firewall");
    }
  }
  const watch = setInterval(() => void watchFirewall(), WATCH_INTERVAL_MS).unref();

  const namespaceFile = (containerId: string): string => path.join(paths.netns(roots), containerId);

  async function join(request: JoinRequest): Promise<Joined> {
    const network = findNetwork(allNetworks(database), request.network);
    const driver = drivers[network.driver];
    if (driver === undefined) throw new EngineError("invalid", `network ${network.name} has no namespaces of its own`);
    if (network.driver === "bridge") await ensureReady();
    await using undo = new Undo((message) => log.warn(message));

    // The record may have learned its subnet just now.
    const current = findNetwork(allNetworks(database), network.id);
    const endpoint = leaseEndpoint(database, current, request.containerId, request.ipv4Address, (address) =>
      newEndpoint(current, request, address),
    );
    undo.defer("releasing the address", () => releaseEndpoint(database, endpoint));
    failpoint("network.join.lease");

    const file = namespaceFile(request.containerId);
    await createNamespace(kernel, file);
    undo.defer("removing the namespace", () => kernel.call("removeNamespace", file));
    failpoint("network.join.namespace");

    const joined = await driver.setUpEndpoint(current, endpoint, file, request.ports);
    if (joined.ports.length > 0) updateEndpoint(database, joined);
    undo.keep();
    return { netnsPath: file, endpoint: publicEndpoint(joined) };
  }

  async function leave(containerId: string): Promise<void> {
    const failures: unknown[] = [];
    const attempt = async (work: () => Promise<unknown>): Promise<void> => {
      await work().catch((error: unknown) => failures.push(error));
    };
    const networks = allNetworks(database);
    const endpoints = endpointsOfContainer(database, containerId);
    for (const endpoint of endpoints) {
      const network = networks.find((candidate) => candidate.id === endpoint.networkId);
      const driver = network && drivers[network.driver];
      if (network && driver) await attempt(() => driver.tearDownEndpoint(network, endpoint));
    }
    failpoint("network.leave.endpoints");
    await attempt(() => kernel.call("removeNamespace", namespaceFile(containerId)));
    failpoint("network.leave.namespace");
    for (const endpoint of endpoints) releaseEndpoint(database, endpoint);
    if (failures.length > 0) log.warn({ container: containerId, errors: failures.map(messageOf) }, "leaving the network");
  }

  return {
    list(filters) {
      const inUse = new Set(allEndpoints(database).map((endpoint) => endpoint.networkId));
      return filterNetworks(allNetworks(database), filters, inUse).map((network) => networkResource(network, []));
    },
    inspect(nameOrId) {
      const network = findNetwork(allNetworks(database), nameOrId);
      return networkResource(
        network,
        allEndpoints(database).filter((endpoint) => endpoint.networkId === network.id),
      );
    },
    join: (request) =>
      locks.run(request.containerId, () =>
        join(request).catch((error: unknown) => {
          const kind = error instanceof EngineError ? error.kind : "system";
          throw new EngineError(kind, `failed to set up container networking: ${messageOf(error)}`, { cause: error });
        }),
      ),
    leave: (containerId) => locks.run(containerId, () => leave(containerId)),
    async restore(runningContainerIds) {
      const running = new Set(runningContainerIds);
      const networks = allNetworks(database);
      for (const endpoint of allEndpoints(database)) {
        if (!running.has(endpoint.containerId)) {
          await leave(endpoint.containerId);
          continue;
        }
        const network = networks.find((candidate) => candidate.id === endpoint.networkId);
        await drivers[network?.driver ?? "null"]?.resumeEndpoint(network ?? missing(endpoint), endpoint).catch((error: unknown) => {
          log.warn({ container: endpoint.containerId, error: messageOf(error) }, "resuming an endpoint");
        });
      }
      const found = await kernel.call("listObjects", paths.netns(roots), []);
      for (const { name } of found.namespaces) {
        if (!running.has(name)) await kernel.call("removeNamespace", namespaceFile(name));
      }
    },
    endpointsOf: (containerId) => endpointsOfContainer(database, containerId).map(publicEndpoint),
    async [Symbol.asyncDispose]() {
      clearInterval(watch);
      if (options.removeBridge === true && ready !== undefined) {
        for (const network of allNetworks(database)) if (network.driver === "bridge") await drivers.bridge?.tearDown(network);
        await kernel.call("removeFirewall");
      }
      await holder[Symbol.asyncDispose]();
      await kernel[Symbol.asyncDispose]();
    },
  };
}

/** Firewall first, then the bridge: nothing is reachable before its rules are there. */
async function setUp(kernel: KernelWorker, drivers: Record<string, NetworkDriver | undefined>, options: NetworksOptions): Promise<void> {
  const { database, roots, log } = options;
  const networks = allNetworks(database);
  const firewall = await kernel.call("openFirewall", {
    table: firewallTable(roots),
    declarations: [...DECLARATIONS],
    rules: [...RULES],
    elements: [
      ...networks.flatMap(networkElements),
      ...allEndpoints(database).flatMap((endpoint) => portElements(endpoint.ipv4Address, endpoint.ports)),
    ],
    scratchFile: path.join(roots.exec, "firewall.nft"),
  });
  log.debug(firewall, "firewall ready");
  for (const network of networks) {
    const ready = await drivers[network.driver]?.setUp(network);
    if (ready !== undefined && JSON.stringify(ready) !== JSON.stringify(network)) saveNetwork(database, ready);
  }
}

/** The table's name: `tsubo` for the default exec root, with a suffix of its own for each other, so that daemons run side by side. */
export function firewallTable(roots: Roots): string {
  if (roots.exec === "/run/tsubo") return "tsubo";
  return `tsubo_${createHash("sha256").update(roots.exec).digest("hex").slice(0, 8)}`;
}

function configureDefaultBridge(database: Database, { bridge = {} }: NetworksOptions): void {
  const network = findNetwork(allNetworks(database), "bridge");
  const { ipv4Subnet, gateway, ...rest } = network;
  const name = bridge.name ?? DEFAULT_BRIDGE;
  const sameBridge = network.bridge?.name === name;
  const changed: NetworkRecord = {
    ...rest,
    ...(sameBridge ? { ipv4Subnet, gateway } : {}),
    bridge: { name, icc: true, masquerade: true, mtu: bridge.mtu, address: bridge.address },
  };
  if (JSON.stringify(changed) !== JSON.stringify(network)) saveNetwork(database, changed);
}

/** A namespace file that a crash left is nobody's: the endpoint's row is ours since a moment ago. */
async function createNamespace(kernel: KernelWorker, file: string): Promise<void> {
  try {
    await kernel.call("createNamespace", file);
  } catch (error) {
    if (codeOf(error) !== "EEXIST") throw error;
    await kernel.call("removeNamespace", file);
    await kernel.call("createNamespace", file);
  }
}

function newEndpoint(network: NetworkRecord, request: JoinRequest, address: string | undefined): EndpointRecord {
  const endpointId = newId();
  return {
    containerId: request.containerId,
    containerName: request.containerName,
    networkId: network.id,
    networkName: network.name,
    endpointId,
    hostLink: address === undefined ? "" : `${LINK_PREFIX}${endpointId.slice(0, 10)}`,
    macAddress: address === undefined ? "" : (request.macAddress ?? macOf(parseAddress(address) ?? 0)),
    ipv4Address: address ?? "",
    ipv4PrefixLength: address === undefined ? 0 : requireSubnet(network.ipv4Subnet ?? "").prefixLength,
    gateway: address === undefined ? "" : (network.gateway ?? ""),
    ports: [],
  };
}

function publicEndpoint(record: EndpointRecord): Endpoint {
  const { containerId: _containerId, containerName: _containerName, hostLink: _hostLink, ...endpoint } = record;
  return endpoint;
}

function missing(endpoint: EndpointRecord): never {
  throw new EngineError("system", `network ${endpoint.networkName} of container ${endpoint.containerId} is not in the database`);
}

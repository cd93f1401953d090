import { mkdirSync } from "node:fs";
import path from "node:path";

import { networkCreate } from "../../src/api/network.ts";
import { newId } from "../../src/base/ids.ts";
import { openLog } from "../../src/base/log.ts";
import { openEvents } from "../../src/engine/events/events.ts";
import type { LinkedPort, Networks, PortRequest } from "../../src/engine/networks/networks.ts";
import { firewallTable, openNetworks, type NetworksOptions } from "../../src/engine/networks/open-networks.ts";
import { removeNamespace } from "../../src/kernel/net/netns.ts";
import { openDatabase } from "../../src/store/database.ts";
import { ensureRoots, paths, type Roots } from "../../src/store/roots.ts";

/** Networks as a daemon has them, on roots of their own, with shorthands for tests. */
export interface TestNetworks {
  networks: Networks;
  roots: Roots;
  table: string;
  /** `POST /networks/create` with this body; gives the id. */
  createNetwork(body: unknown): Promise<string>;
  /** Joins a new container, to the default network if none is named; gives its id, namespace and first address. */
  add(options?: AddOptions): Promise<TestContainer>;
  /** What is there and should not be, or should be and is not. */
  differences(): Promise<string[]>;
  close(): Promise<void>;
}

interface AddOptions {
  name?: string;
  networks?: string[];
  ports?: Partial<PortRequest>[];
  address?: string;
  linkedPorts?: LinkedPort[];
  /** Of networks as gateways, by name. */
  priorities?: Record<string, number>;
  /** Its names on each network, and its own for others. */
  dnsNames?: string[];
  links?: string[];
}

export interface TestContainer {
  id: string;
  file: string;
  address: string;
  ports: string[];
}

const projectRoot = path.resolve(import.meta.dirname, "../..");
export const workerPath = path.join(projectRoot, "dist/kernel-worker.cjs");
export const dnsWorkerPath = path.join(projectRoot, "dist/dns-worker.cjs");

export async function openTestNetworks(folder: string, options: Partial<NetworksOptions> = {}): Promise<TestNetworks> {
  const roots: Roots = { data: path.join(folder, "data"), exec: path.join(folder, "run") };
  mkdirSync(folder, { recursive: true });
  await ensureRoots(roots);
  const database = openDatabase(paths.database(roots));
  const log = openLog("networks", "fatal");
  const networks = await openNetworks({
    database,
    roots,
    log,
    events: openEvents(),
    workerPath,
    dnsWorkerPath,
    removeBridge: true,
    ...options,
  });
  const added: TestContainer[] = [];
  return {
    networks,
    roots,
    table: firewallTable(roots),
    createNetwork: (body) => networks.create(networkCreate.decode(body, "")),
    async add(options = {}) {
      const { name = "web", networks: wanted = ["bridge"], ports = [], address, priorities = {} } = options;
      const { dnsNames = [], links = [], linkedPorts = [] } = options;
      const id = newId();
      const joined = await networks.join({
        containerId: id,
        containerName: name,
        endpoints: wanted.map((network) => ({
          network,
          ipv4Address: address,
          dnsNames,
          links,
          linkedPorts,
          gatewayPriority: priorities[network] ?? 0,
        })),
        ports: ports.map(completePort),
      });
      const [endpoint] = joined.endpoints;
      const published = joined.endpoints
        .flatMap(({ ports: bindings }) => bindings)
        .map((port) => `${port.hostAddress} ${port.hostPort}/${port.protocol}`);
      const container = { id, file: joined.netnsPath, address: endpoint?.ipv4Address ?? "", ports: published };
      added.push(container);
      return container;
    },
    async differences() {
      const nameOf = ({ kind, name }: { kind: string; name: string }): string => `${kind} ${name}`;
      const expected = networks.expectedObjects().map(nameOf);
      const found = (await networks.kernelObjects()).map(nameOf);
      return [
        ...expected.filter((name) => !found.includes(name)).map((name) => `missing: ${name}`),
        ...found.filter((name) => !expected.includes(name)).map((name) => `left: ${name}`),
      ];
    },
    async close() {
      for (const { file } of added) removeNamespace(file);
      await networks[Symbol.asyncDispose]();
      database.close();
    },
  };
}

/** `{ hostPort: 8080 }` means tcp, container port 80, every address. */
function completePort(port: Partial<PortRequest>): PortRequest {
  const hostPort = port.hostPort ?? 0;
  return { containerPort: 80, protocol: "tcp", hostAddress: "", hostPort, hostPortEnd: hostPort, ...port };
}

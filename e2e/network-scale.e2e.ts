import path from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";

import { openTestNetworks, type TestContainer, type TestNetworks } from "./network/networks.ts";
import { openTopology, type Topology } from "./network/topology.ts";

/** Many networks and containers at once leave nothing behind. */

const NETWORKS = 100;
const CONTAINERS = 300;

let topology: Topology;
let daemon: TestNetworks;

beforeAll(async () => {
  topology = await openTopology();
  // Docker's own pools hold 31 networks.
  daemon = await openTestNetworks(path.join(topology.folder, "daemon"), { addressPools: [{ base: "10.0.0.0/8", length: 24 }] });
});

afterAll(async () => {
  await daemon?.close();
  await topology?.close();
});

const all = <T>(count: number, work: (index: number) => Promise<T>): Promise<T[]> =>
  Promise.all(Array.from({ length: count }, (_, index) => work(index)));
const networkOf = (index: number): string => `net${index % NETWORKS}`;

test(`${NETWORKS} networks and ${CONTAINERS} containers, connected, disconnected and removed`, async () => {
  const before = daemon.networks.expectedObjects();
  const ids = await all(NETWORKS, (index) => daemon.createNetwork({ Name: networkOf(index), EnableIPv6: true }));
  expect(new Set(daemon.networks.list(new Map()).flatMap(({ IPAM }) => (IPAM.Config ?? []).map(({ Subnet }) => Subnet))).size).toBe(
    2 * NETWORKS + 1,
  );

  const containers = await all(CONTAINERS, (index) => daemon.add({ name: `c${index}`, networks: [networkOf(index)], ports: [{}] }));
  expect(new Set(containers.flatMap(({ ports }: TestContainer) => ports)).size).toBe(2 * CONTAINERS);
  await all(CONTAINERS, (index) =>
    daemon.networks.connect({
      containerId: containers[index]?.id ?? "",
      containerName: `c${index}`,
      endpoint: { network: networkOf(index + 1), dnsNames: [], links: [], linkedPorts: [], gatewayPriority: 0 },
      ports: [],
    }),
  );
  expect(await daemon.differences()).toEqual([]);

  await all(CONTAINERS, (index) => daemon.networks.disconnect(containers[index]?.id ?? "", ids[index % NETWORKS] ?? "", []));
  expect(await daemon.differences()).toEqual([]);
  await all(CONTAINERS, (index) => daemon.networks.leave(containers[index]?.id ?? ""));
  await all(NETWORKS, (index) => daemon.networks.remove(networkOf(index)));
  await expect.poll(() => daemon.differences()).toEqual([]);
  expect(daemon.networks.expectedObjects()).toEqual(before);
});

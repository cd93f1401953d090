import { existsSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

import type { NetworksOptions } from "../src/engine/networks/open-networks.ts";
import { openTestNetworks, type TestNetworks } from "./network/networks.ts";
import { openHost, sh, type TestHost } from "./network/host.ts";
import { cells } from "./network/isolation-cells.ts";
import { failures } from "./network/reach.ts";
import { openTopology, type Topology } from "./network/topology.ts";

/**
 * Who reaches whom across networks, over IPv4 and IPv6, with real packets. Without our rules many of the same checks fail: that shows that
 * they test the rules.
 */

let topology: Topology;
let daemon: TestNetworks;
const hosts = new Map<string, TestHost>();

const NETWORKS = [
  { name: "front", number: 1, letter: "a", more: {} },
  { name: "back", number: 2, letter: "b", more: { Internal: true } },
  { name: "closed", number: 3, letter: "c", more: { Options: { "com.docker.network.bridge.enable_icc": "false" } } },
];

beforeAll(async () => {
  topology = await openTopology();
  for (const name of ["host", "outside", "farther"] as const) hosts.set(name, topology[name]);
  await serve("host", "tcp", 9001);
  await serve("outside", "tcp", 80);
  await serve("farther", "tcp", 80);
  await hostOf("host").serve("tcp", "127.0.0.1", 9000, "host");
  await hostOf("host").serve("tcp", "::1", 9000, "host");
  await open("daemon");
}, 60_000);

afterAll(async () => {
  await close();
  await topology?.close();
});

async function open(folder: string, options: Partial<NetworksOptions> = {}): Promise<void> {
  daemon = await openTestNetworks(path.join(topology.folder, folder), options);
  for (const { name, number, letter, more } of NETWORKS) {
    await daemon.createNetwork({
      Name: name,
      EnableIPv6: true,
      IPAM: { Config: [{ Subnet: `10.10${number}.0.0/24` }, { Subnet: `fd00:${letter}::/64` }] },
      ...more,
    });
  }
  await add(
    "web",
    ["front"],
    [
      { hostPort: 8080 },
      { hostPort: 8053, containerPort: 53, protocol: "udp" },
      { hostPort: 8081, hostAddress: "127.0.0.1" },
      { hostPort: 8082, hostAddress: "192.0.2.1" },
      { hostPort: 8083, hostAddress: "fd00:2::1" },
      { hostPort: 8084, hostAddress: "::1" },
    ],
  );
  await add("app", ["front", "back"]);
  await add("db", ["back"], [{ hostPort: 8060 }]);
  await add("one", ["closed"], [{ hostPort: 8090 }]);
  await add("two", ["closed"]);
  await add("old", ["bridge"], [{ hostPort: 8070 }, { hostPort: 8071, containerPort: 53, protocol: "udp" }]);
  for (const name of ["web", "app", "db", "one", "two", "old"]) await serve(name, "tcp", 80);
  for (const name of ["web", "old"]) await serve(name, "udp", 53);
}

type Ports = NonNullable<NonNullable<Parameters<TestNetworks["add"]>[0]>["ports"]>;

async function add(name: string, networks: string[], ports: Ports = []): Promise<void> {
  hosts.set(name, openHost((await daemon.add({ name, networks, ports })).file));
}

async function serve(name: string, protocol: "tcp" | "udp", port: number): Promise<void> {
  for (const address of ["0.0.0.0", "::"]) await hostOf(name).serve(protocol, address, port, name);
}

async function close(): Promise<void> {
  for (const [name, host] of hosts) if (!["host", "outside", "farther"].includes(name)) await host.close();
  await daemon?.close();
}

const hostOf = (name: string): TestHost => {
  const host = hosts.get(name);
  if (host === undefined) throw new Error(`no host ${name}`);
  return host;
};

const failed = (): Promise<string[]> => failures(cells, hostOf);

const BRIDGE_FILTERS = ["bridge-nf-call-iptables", "bridge-nf-call-ip6tables"].map((name) => `/proc/sys/net/bridge/${name}`);

function filterBridged(value: "0" | "1"): void {
  for (const file of BRIDGE_FILTERS) if (existsSync(file)) writeFileSync(file, value);
}

describe("who reaches whom across networks", () => {
  test("with br_netfilter sending bridged packets through the rules", async () => {
    filterBridged("1");
    expect(await failed()).toEqual([]);
  });

  test("without br_netfilter", async () => {
    filterBridged("0");
    expect(await failed()).toEqual([]);
  });

  test("with both iptables' FORWARD policies set to DROP by another program", async () => {
    for (const program of ["iptables-nft", "ip6tables-nft"]) await sh(`${program} -P FORWARD DROP`);
    await expect.poll(failed, { timeout: 30_000 }).toEqual([]);
    for (const program of ["iptables-nft", "ip6tables-nft"]) await sh(`${program} -P FORWARD ACCEPT`);
  });

  test("everything in the kernel is accounted for", async () => {
    expect(await daemon.differences()).toEqual([]);
  });

  test("with a kernel that has neither br_netfilter nor IPv6 forwarding of single links", async () => {
    await close();
    await open("older", { without: ["br_netfilter", "force_forwarding"] });
    expect(await sh("sysctl -n net.ipv6.conf.all.forwarding")).toBe("1\n");
    expect(await failed()).toEqual([]);
  });

  test("many fail without our rules", async () => {
    await daemon.networks[Symbol.asyncDispose]();
    expect((await failed()).length).toBeGreaterThan(cells.length / 4);
  });
});

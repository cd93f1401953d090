import { existsSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

import type { NetworksOptions } from "../src/engine/networks/open-networks.ts";
import { openTestNetworks, type TestNetworks } from "./network/networks.ts";
import { openHost, sh, type TestHost } from "./network/host.ts";
import { failures, NO, type Cell } from "./network/reach.ts";
import { openTopology, type Topology } from "./network/topology.ts";

/**
 * Who reaches whom across networks, over IPv4 and IPv6, with real packets. Every listener is asked by everybody:
 *
 *     front   dual stack            web 10.101.0.2 fd00:a::2, app 10.101.0.3 fd00:a::3
 *     back    dual stack, internal  app 10.102.0.2 fd00:b::2, db 10.102.0.3 fd00:b::3
 *     closed  dual stack, icc off   one 10.103.0.2 fd00:c::2, two 10.103.0.3 fd00:c::3
 *     bridge  IPv4                  old 172.17.0.2
 *
 * and the host with two neighbours. Without our rules many of the same checks fail: that shows that they test the rules.
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

/** Where a listener is asked, what it is called, and as whom it sees those that reach it. Nobody else does. */
type Listener = [protocol: "tcp" | "udp", address: string, port: number, name: string, seen: Record<string, string>];

/** Those that reach a port published on an address of the host, and as whom: `own` and `local` by their gateway, `far` as themselves. */
const clients4 = {
  outside: "192.0.2.2",
  farther: "198.51.100.2",
  web: "10.101.0.2",
  app: "10.101.0.3",
  one: "10.103.0.2",
  two: "10.103.0.3",
  old: "172.17.0.2",
};
const clients6 = { outside: "fd00:2::2", farther: "fd00:3::2", web: "fd00:a::2", app: "fd00:a::3", one: "fd00:c::2", two: "fd00:c::3" };
const toFront4 = { ...clients4, host: "10.101.0.1", web: "10.101.0.1", app: "10.101.0.1" };
const toFront6 = { ...clients6, host: "fd00:a::1", web: "fd00:a::1", app: "fd00:a::1" };
const toClosed4 = { ...clients4, host: "10.103.0.1", one: "10.103.0.1", two: "10.103.0.1" };
const toClosed6 = { ...clients6, host: "fd00:c::1", one: "fd00:c::1", two: "fd00:c::1" };
const byProxy = (gateway: string): Record<string, string> =>
  Object.fromEntries(["host", ...Object.keys(clients6)].map((name) => [name, gateway]));
/** Containers leave with the host's address. */
const outward = (address: string, names: string[]): Record<string, string> => Object.fromEntries(names.map((name) => [name, address]));

const listeners: Listener[] = [
  // Containers by their own addresses: the host, themselves, and their neighbours unless these are closed to each other.
  ["tcp", "10.101.0.2", 80, "web", { host: "10.101.0.1", web: "10.101.0.2", app: "10.101.0.3" }],
  ["tcp", "fd00:a::2", 80, "web", { host: "fd00:a::1", web: "fd00:a::2", app: "fd00:a::3" }],
  ["udp", "10.101.0.2", 53, "web", { host: "10.101.0.1", web: "10.101.0.2", app: "10.101.0.3" }],
  ["udp", "fd00:a::2", 53, "web", { host: "fd00:a::1", web: "fd00:a::2", app: "fd00:a::3" }],
  ["tcp", "10.101.0.3", 80, "app", { host: "10.101.0.1", web: "10.101.0.2", app: "10.101.0.3" }],
  ["tcp", "fd00:a::3", 80, "app", { host: "fd00:a::1", web: "fd00:a::2", app: "fd00:a::3" }],
  ["tcp", "10.102.0.2", 80, "app", { host: "10.102.0.1", app: "10.102.0.2", db: "10.102.0.3" }],
  ["tcp", "fd00:b::2", 80, "app", { host: "fd00:b::1", app: "fd00:b::2", db: "fd00:b::3" }],
  ["tcp", "10.102.0.3", 80, "db", { host: "10.102.0.1", app: "10.102.0.2", db: "10.102.0.3" }],
  ["tcp", "fd00:b::3", 80, "db", { host: "fd00:b::1", app: "fd00:b::2", db: "fd00:b::3" }],
  ["tcp", "10.103.0.2", 80, "one", { host: "10.103.0.1", one: "10.103.0.2" }],
  ["tcp", "fd00:c::2", 80, "one", { host: "fd00:c::1", one: "fd00:c::2" }],
  ["tcp", "10.103.0.3", 80, "two", { host: "10.103.0.1", two: "10.103.0.3" }],
  ["tcp", "fd00:c::3", 80, "two", { host: "fd00:c::1", two: "fd00:c::3" }],
  ["tcp", "172.17.0.2", 80, "old", { host: "172.17.0.1", old: "172.17.0.2" }],

  // Ports published on every address: everybody that has a way there.
  ["tcp", "192.0.2.1", 8080, "web", toFront4],
  ["tcp", "198.51.100.1", 8080, "web", toFront4],
  ["tcp", "fd00:2::1", 8080, "web", toFront6],
  ["tcp", "fd00:3::1", 8080, "web", toFront6],
  ["udp", "192.0.2.1", 8053, "web", toFront4],
  ["udp", "fd00:2::1", 8053, "web", toFront6],
  ["tcp", "127.0.0.1", 8080, "web", { host: "10.101.0.1" }],
  ["tcp", "::1", 8080, "web", { host: "fd00:a::1" }],
  ["udp", "127.0.0.1", 8053, "web", { host: "10.101.0.1" }],
  ["udp", "::1", 8053, "web", { host: "fd00:a::1" }],
  ["tcp", "192.0.2.1", 8090, "one", toClosed4],
  ["tcp", "fd00:2::1", 8090, "one", toClosed6],
  // One that has no IPv6 is served to IPv6 by a proxy.
  ["tcp", "192.0.2.1", 8070, "old", { ...clients4, host: "172.17.0.1", old: "172.17.0.1" }],
  ["tcp", "fd00:2::1", 8070, "old", byProxy("172.17.0.1")],
  ["udp", "fd00:2::1", 8071, "old", byProxy("172.17.0.1")],
  // An internal network publishes nothing.
  ["tcp", "192.0.2.1", 8060, "db", {}],
  ["tcp", "fd00:2::1", 8060, "db", {}],

  // Ports published on one address: there and nowhere else.
  ["tcp", "127.0.0.1", 8081, "web", { host: "10.101.0.1" }],
  ["tcp", "192.0.2.1", 8081, "web", {}],
  ["tcp", "10.101.0.1", 8081, "web", {}],
  ["tcp", "192.0.2.1", 8082, "web", toFront4],
  ["tcp", "198.51.100.1", 8082, "web", {}],
  ["tcp", "127.0.0.1", 8082, "web", {}],
  ["tcp", "fd00:2::1", 8083, "web", toFront6],
  ["tcp", "fd00:3::1", 8083, "web", {}],
  ["tcp", "::1", 8083, "web", {}],
  ["tcp", "::1", 8084, "web", { host: "fd00:a::1" }],
  ["tcp", "fd00:2::1", 8084, "web", {}],

  // The world: all but those on an internal network, with the host's address. The host forwards nothing for the neighbours.
  ["tcp", "192.0.2.2", 80, "outside", { ...outward("192.0.2.1", ["host", "web", "app", "one", "two", "old"]), outside: "192.0.2.2" }],
  ["tcp", "fd00:2::2", 80, "outside", { ...outward("fd00:2::1", ["host", "web", "app", "one", "two"]), outside: "fd00:2::2" }],
  [
    "tcp",
    "198.51.100.2",
    80,
    "farther",
    { ...outward("198.51.100.1", ["host", "web", "app", "one", "two", "old"]), farther: "198.51.100.2" },
  ],
  ["tcp", "fd00:3::2", 80, "farther", { ...outward("fd00:3::1", ["host", "web", "app", "one", "two"]), farther: "fd00:3::2" }],

  // The host's own services: what it offers to all, by its outer addresses and by gateways, but not what is for itself.
  ["tcp", "192.0.2.1", 9001, "host", { ...clients4, host: "192.0.2.1" }],
  ["tcp", "fd00:2::1", 9001, "host", { ...clients6, host: "fd00:2::1" }],
  [
    "tcp",
    "10.101.0.1",
    9001,
    "host",
    { host: "10.101.0.1", web: "10.101.0.2", app: "10.101.0.3", one: "10.103.0.2", two: "10.103.0.3", old: "172.17.0.2" },
  ],
  [
    "tcp",
    "fd00:b::1",
    9001,
    "host",
    { host: "fd00:b::1", web: "fd00:a::2", app: "fd00:b::2", db: "fd00:b::3", one: "fd00:c::2", two: "fd00:c::3" },
  ],
  ["tcp", "127.0.0.1", 9000, "host", { host: "127.0.0.1" }],
  ["tcp", "::1", 9000, "host", { host: "::1" }],
];

const everybody = ["host", "outside", "farther", "web", "app", "db", "one", "two", "old"];
const cells = listeners.flatMap(([protocol, address, port, name, seen]) =>
  everybody.map((who): Cell => [who, protocol, address, port, who in seen ? `${name} ${seen[who]}` : NO]),
);
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

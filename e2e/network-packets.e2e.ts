import { existsSync, writeFileSync } from "node:fs";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

import { openTestNetworks, type TestContainer, type TestNetworks } from "./network/networks.ts";
import { openHost, sh, type TestHost } from "./network/host.ts";
import { failures, NO, type Cell } from "./network/reach.ts";
import { openTopology, type Topology } from "./network/topology.ts";

/**
 * Who reaches whom, with real packets: the host, two hosts outside, two containers on the default bridge and one without a network. The
 * same checks without our rules fail for the most part: that shows that they test the rules.
 */

let topology: Topology;
let daemon: TestNetworks;
let web: TestContainer;
let other: TestContainer;
let alone: TestContainer;
const hosts: Record<string, TestHost> = {};

beforeAll(async () => {
  topology = await openTopology();
  daemon = await openTestNetworks(path.join(topology.folder, "daemon"), { removeBridge: false });
  web = await daemon.add({
    name: "web",
    ports: [
      { hostPort: 8080 },
      { hostPort: 8053, containerPort: 53, protocol: "udp" },
      { hostPort: 8081, containerPort: 81, hostAddress: "127.0.0.1" },
      { hostPort: 8082, containerPort: 80, hostAddress: "192.0.2.1" },
      { hostPort: 8083, containerPort: 80, hostAddress: "fd00:2::1" },
    ],
  });
  other = await daemon.add({ name: "other" });
  alone = await daemon.add({ name: "alone", networks: ["none"] });
  hosts["host"] = topology.host;
  hosts["outside"] = topology.outside;
  hosts["farther"] = topology.farther;
  for (const [name, container] of Object.entries({ web, other, alone })) hosts[name] = openHost(container.file);

  await hostOf("web").serve("tcp", "0.0.0.0", 80, "web");
  await hostOf("web").serve("tcp", "0.0.0.0", 81, "web81");
  await hostOf("web").serve("udp", "0.0.0.0", 53, "web");
  await hostOf("other").serve("tcp", "0.0.0.0", 80, "other");
  await hostOf("alone").serve("tcp", "::1", 80, "alone");
  await hostOf("host").serve("tcp", "127.0.0.1", 9000, "host-loopback");
  await hostOf("host").serve("tcp", "0.0.0.0", 9001, "host");
  await hostOf("outside").serve("tcp", "0.0.0.0", 7000, "outside");
  await hostOf("outside").serve("udp", "0.0.0.0", 7000, "outside");
  await hostOf("farther").serve("tcp", "0.0.0.0", 7000, "farther");

  // This container sends what is for 127.0.0.1 to its gateway, as a malicious one would.
  await hostOf("other").sh("sysctl -qw net.ipv4.conf.all.route_localnet=1");
  await hostOf("other").sh("ip addr del 127.0.0.1/8 dev lo");
  await hostOf("other").sh("ip route add 127.0.0.0/8 via 172.17.0.1");
}, 60_000);

afterAll(async () => {
  await daemon?.close();
  await topology?.close();
});

const hostOf = (name: string): TestHost => {
  const host = hosts[name];
  if (host === undefined) throw new Error(`no host ${name}`);
  return host;
};

function checks(): Cell[] {
  return [
    // The host reaches published ports by every address it has, and containers directly.
    ["host", "tcp", "127.0.0.1", 8080, "web 172.17.0.1"],
    ["host", "tcp", "192.0.2.1", 8080, "web 192.0.2.1"],
    ["host", "tcp", "172.17.0.1", 8080, "web 172.17.0.1"],
    ["host", "tcp", "::1", 8080, "web 172.17.0.1"],
    ["host", "udp", "127.0.0.1", 8053, "web 172.17.0.1"],
    ["host", "udp", "192.0.2.1", 8053, "web 192.0.2.1"],
    ["host", "udp", "::1", 8053, "web 172.17.0.1"],
    ["host", "tcp", "127.0.0.1", 8081, "web81 172.17.0.1"],
    ["host", "tcp", "192.0.2.1", 8081, NO],
    ["host", "tcp", "192.0.2.1", 8082, "web 192.0.2.1"],
    ["host", "tcp", "127.0.0.1", 8082, NO],
    ["host", "tcp", "fd00:2::1", 8083, "web 172.17.0.1"],
    ["host", "tcp", web.address, 80, "web 172.17.0.1"],
    // Outsiders reach published ports under their own address, and nothing else.
    ["outside", "tcp", "192.0.2.1", 8080, "web 192.0.2.2"],
    ["outside", "udp", "192.0.2.1", 8053, "web 192.0.2.2"],
    ["outside", "tcp", "192.0.2.1", 8082, "web 192.0.2.2"],
    ["outside", "tcp", "fd00:2::1", 8080, "web 172.17.0.1"],
    ["outside", "udp", "fd00:2::1", 8053, "web 172.17.0.1"],
    ["outside", "tcp", "fd00:2::1", 8083, "web 172.17.0.1"],
    ["farther", "tcp", "198.51.100.1", 8080, "web 198.51.100.2"],
    ["farther", "tcp", "198.51.100.1", 8082, NO],
    ["outside", "tcp", "192.0.2.1", 8081, NO],
    ["outside", "tcp", web.address, 80, NO],
    ["outside", "udp", web.address, 53, NO],
    ["outside", "tcp", web.address, 8080, NO],
    ["outside", "tcp", other.address, 80, NO],
    ["outside", "tcp", "192.0.2.1", 9000, NO],
    // We made the host forward, but not for others.
    ["outside", "tcp", "198.51.100.2", 7000, NO],
    ["farther", "tcp", "192.0.2.2", 7000, NO],
    // Containers reach each other, the outside under the host's address, the host, and published ports by the host's addresses.
    ["web", "tcp", other.address, 80, "other 172.17.0.2"],
    ["other", "tcp", web.address, 80, "web 172.17.0.3"],
    ["web", "tcp", "192.0.2.2", 7000, "outside 192.0.2.1"],
    ["web", "udp", "192.0.2.2", 7000, "outside 192.0.2.1"],
    ["web", "tcp", "198.51.100.2", 7000, "farther 198.51.100.1"],
    ["other", "tcp", "198.51.100.2", 7000, "farther 198.51.100.1"],
    ["web", "tcp", "172.17.0.1", 9001, "host 172.17.0.2"],
    ["other", "tcp", "192.0.2.1", 8080, "web 172.17.0.1"],
    ["other", "tcp", "172.17.0.1", 8080, "web 172.17.0.1"],
    ["other", "udp", "192.0.2.1", 8053, "web 172.17.0.1"],
    ["web", "tcp", "192.0.2.1", 8080, "web 172.17.0.1"],
    ["web", "udp", "192.0.2.1", 8053, "web 172.17.0.1"],
    // But neither the host's loopback services nor what is published there.
    ["web", "tcp", "172.17.0.1", 9000, NO],
    ["other", "tcp", "127.0.0.1", 9000, NO],
    ["other", "tcp", "127.0.0.1", 8081, NO],
    ["other", "tcp", "172.17.0.1", 8081, NO],
    // Without a network there is loopback, IPv6 too, and nothing else.
    ["alone", "tcp", "::1", 80, "alone ::1"],
    ["alone", "tcp", web.address, 80, NO],
    ["alone", "tcp", "192.0.2.2", 7000, NO],
  ];
}

const failed = (): Promise<string[]> => failures(checks(), hostOf);

const BRIDGE_FILTER = "/proc/sys/net/bridge/bridge-nf-call-iptables";

describe("who reaches whom", () => {
  test.skipIf(!existsSync(BRIDGE_FILTER))("with br_netfilter sending bridged packets through the rules", async () => {
    writeFileSync(BRIDGE_FILTER, "1");
    expect(await failed()).toEqual([]);
  });

  test("without br_netfilter", async () => {
    if (existsSync(BRIDGE_FILTER)) writeFileSync(BRIDGE_FILTER, "0");
    expect(await failed()).toEqual([]);
  });

  test("with iptables' FORWARD policy set to DROP by another program", async () => {
    await sh("iptables-nft -P FORWARD DROP");
    await expect.poll(failed, { timeout: 15_000 }).toEqual([]);
    // iptables can still read its own table.
    expect(await sh("iptables-nft -S FORWARD")).toContain("-P FORWARD DROP");
    await sh("iptables-nft -P FORWARD ACCEPT");
  });

  test("daemons beside each other do not push each other out of iptables' first place", async () => {
    const second = await openTestNetworks(path.join(topology.folder, "second"), { bridge: { name: "tt2", address: "10.88.0.1/24" } });
    await sh("iptables-nft -P FORWARD DROP");
    const calls = async (): Promise<number> => (await sh("iptables-nft -S FORWARD")).split(" -j TSUBO").length - 1;
    await expect.poll(calls, { timeout: 10_000 }).toBe(2);
    // Whatever one of them changes makes the other look again.
    await sleep(3000);
    expect(await calls()).toBe(2);
    await second.close();
    await sh("iptables-nft -P FORWARD ACCEPT");
    expect(await calls()).toBe(1);
  });

  test("a link that comes up later forwards for containers and for nobody else", async () => {
    await sh("ip link add up2 type veth peer name far2");
    await sh("ip addr add 203.0.113.1/24 dev up2");
    await sh("ip link set up2 up");
    await expect.poll(() => sh("sysctl -n net.ipv4.conf.up2.forwarding")).toBe("1\n");
    expect(await sh(`nft list set inet ${daemon.table} uplinks`)).toContain('"up2"');
    await sh("ip link delete up2");
  });

  test("everything in the kernel is accounted for", async () => {
    expect(await daemon.differences()).toEqual([]);
  });

  test("most of it fails without our rules", async () => {
    await daemon.networks[Symbol.asyncDispose]();
    await sh(`nft delete table inet ${daemon.table}`);
    expect((await failed()).length).toBeGreaterThan(checks().length / 2);
  });
});

import path from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";

import type { NetworksOptions } from "../src/engine/networks/open-networks.ts";
import { openTestNetworks, type TestContainer, type TestNetworks } from "./network/networks.ts";
import { openHost, sh, type TestHost } from "./network/host.ts";
import { openTopology, type Topology } from "./network/topology.ts";

/** What the options of a network make of it, in the kernel and with real packets. */

let topology: Topology;
let daemon: TestNetworks;
let joined: TestContainer[] = [];
let servers: TestHost[] = [];

beforeAll(async () => {
  topology = await openTopology();
  daemon = await openTestNetworks(path.join(topology.folder, "daemon"));
  for (const address of ["0.0.0.0", "::"]) await topology.outside.serve("tcp", address, 80, "outside");
});

afterEach(async () => {
  for (const host of servers) await host.close();
  for (const { id } of joined) await daemon.networks.leave(id);
  [servers, joined] = [[], []];
  await daemon.networks.prune(new Map());
  expect(await daemon.differences()).toEqual([]);
});

afterAll(async () => {
  await daemon?.close();
  await topology?.close();
});

async function add(...args: Parameters<TestNetworks["add"]>): Promise<TestContainer & { host: TestHost }> {
  const container = await daemon.add(...args);
  const host = openHost(container.file);
  joined.push(container);
  servers.push(host);
  return { ...container, host };
}

const bridgeOption = (name: string, value: string): Record<string, string> => ({ [`com.docker.network.bridge.${name}`]: value });

describe("IPv6 without IPv4", () => {
  test("containers reach each other and the world, and are reached at published ports, of both families", async () => {
    await daemon.createNetwork({ Name: "six", EnableIPv4: false, EnableIPv6: true, IPAM: { Config: [{ Subnet: "fd00:6::/64" }] } });
    const web = await add({ networks: ["six"], ports: [{ hostPort: 8080 }, { hostPort: 8053, protocol: "udp" }] });
    const other = await add({ networks: ["six"] });
    await web.host.serve("tcp", "::", 80, "web");
    await web.host.serve("udp", "::", 80, "web");
    expect(web.ports).toEqual(["0.0.0.0 8080/tcp", ":: 8080/tcp", "0.0.0.0 8053/udp", ":: 8053/udp"]);
    expect(await other.host.ask("tcp", "fd00:6::2", 80)).toBe("web fd00:6::3");
    expect(await web.host.ask("tcp", "fd00:2::2", 80)).toBe("outside fd00:2::1");
    expect(await topology.outside.ask("tcp", "fd00:2::1", 8080)).toBe("web fd00:2::2");
    expect(await topology.outside.ask("udp", "fd00:2::1", 8053)).toBe("web fd00:2::2");
    // A proxy takes these across.
    expect(await topology.outside.ask("tcp", "192.0.2.1", 8080)).toBe("web fd00:6::1");
    expect(await topology.outside.ask("udp", "192.0.2.1", 8053)).toBe("web fd00:6::1");
    expect(await web.host.sh("ip -4 addr show dev eth0")).toBe("");
  });

  test("one family at least there must be", async () => {
    await expect(daemon.createNetwork({ Name: "none4", EnableIPv4: false })).rejects.toThrow("IPv4 or IPv6 must be enabled");
  });
});

test("IPv4 alone leaves a container no IPv6 address, not even a link's own", async () => {
  const { host } = await add();
  expect(await host.sh("ip -6 addr show dev eth0")).toBe("");
  expect(await host.sh("ip -6 addr show dev lo")).toContain("::1/128");
});

describe("on several networks", () => {
  test("each family's default route goes by the first network that has it, by priority before all else", async () => {
    await daemon.createNetwork({ Name: "a4", IPAM: { Config: [{ Subnet: "10.111.0.0/24" }] } });
    await daemon.createNetwork({
      Name: "b46",
      EnableIPv6: true,
      IPAM: { Config: [{ Subnet: "10.112.0.0/24" }, { Subnet: "fd00:12::/64" }] },
    });
    const routes = async ({ host }: { host: TestHost }): Promise<string[]> => {
      const listed = `${await host.sh("ip route")}${await host.sh("ip -6 route")}`;
      return listed.split("\n").flatMap((line) => /^default via (\S+ dev \S+)/.exec(line)?.[1] ?? []);
    };
    // One that has both families comes first.
    expect(await routes(await add({ networks: ["a4", "b46"] }))).toEqual(["10.112.0.1 dev eth1", "fd00:12::1 dev eth1"]);
    const chosen = await add({ networks: ["a4", "b46"], priorities: { a4: 1 } });
    expect(await routes(chosen)).toEqual(["10.111.0.1 dev eth0", "fd00:12::1 dev eth1"]);
    await daemon.networks.disconnect(chosen.id, await idOf("a4"), []);
    expect(await routes(chosen)).toEqual(["10.112.0.1 dev eth1", "fd00:12::1 dev eth1"]);
  });
});

describe("the bridge", () => {
  test("that was there before is used, and stays when the network goes", async () => {
    await sh("ip link add ttbr type bridge");
    await sh("ip addr add 10.113.0.1/24 dev ttbr");
    const body = { Options: bridgeOption("name", "ttbr") };
    await expect(daemon.createNetwork({ ...body, Name: "wrong", IPAM: { Config: [{ Subnet: "10.114.0.0/24" }] } })).rejects.toThrow(
      "it exists with 10.113.0.1/24",
    );
    await daemon.createNetwork({ ...body, Name: "right", IPAM: { Config: [{ Subnet: "10.113.0.0/24" }] } });
    const { host } = await add({ networks: ["right"] });
    expect(await host.ask("tcp", "192.0.2.2", 80)).toBe("outside 192.0.2.1");
    for (const { id } of joined.splice(0)) await daemon.networks.leave(id);
    await daemon.networks.remove("right");
    expect(await sh("ip -br addr show dev ttbr")).toContain("10.113.0.1/24");
    await sh("ip link delete ttbr");
  });

  test("may not be a link of another kind", async () => {
    await expect(daemon.createNetwork({ Name: "x", Options: bridgeOption("name", "up0") })).rejects.toThrow(
      "a network link of another kind",
    );
  });

  test("has no IPv4 address where somebody else is the gateway", async () => {
    const options = { ...bridgeOption("inhibit_ipv4", "true"), ...bridgeOption("name", "ttinhibit") };
    await daemon.createNetwork({ Name: "other", Options: options, IPAM: { Config: [{ Subnet: "10.115.0.0/24" }] } });
    expect(await sh("ip -br addr show dev ttinhibit")).not.toContain("10.115");
    expect(await (await add({ networks: ["other"] })).host.sh("ip route")).toContain("default via 10.115.0.1");
  });

  test("and its containers' links have the MTU that was asked for", async () => {
    const options = { "com.docker.network.driver.mtu": "1400", ...bridgeOption("name", "ttmtu") };
    await daemon.createNetwork({ Name: "small", EnableIPv6: true, Options: options });
    const { host } = await add({ networks: ["small"] });
    for (const listed of [await sh("ip link show dev ttmtu"), await host.sh("ip link show dev eth0")]) expect(listed).toContain("mtu 1400");
  });

  test("has one subnet of a family", async () => {
    const body = { Name: "x", IPAM: { Config: [{ Subnet: "10.116.0.0/24" }, { Subnet: "10.117.0.0/24" }] } };
    await expect(daemon.createNetwork(body)).rejects.toThrow("bridge driver doesn't support multiple subnets");
  });
});

test("without masquerade the world sees a container's own address, and still does not reach it", async () => {
  const IPAM = { Config: [{ Subnet: "10.118.0.0/24" }, { Subnet: "fd00:18::/64" }] };
  await daemon.createNetwork({ Name: "plain", EnableIPv6: true, IPAM, Options: bridgeOption("enable_ip_masquerade", "false") });
  const { host } = await add({ networks: ["plain"] });
  expect(await host.ask("tcp", "192.0.2.2", 80)).toBe("outside 10.118.0.2");
  expect(await host.ask("tcp", "fd00:2::2", 80)).toBe("outside fd00:18::2");
  for (const address of ["0.0.0.0", "::"]) await host.serve("tcp", address, 80, "web");
  expect(await topology.outside.ask("tcp", "10.118.0.2", 80)).toBe("TIMEOUT");
  expect(await topology.outside.ask("tcp", "fd00:18::2", 80)).toBe("TIMEOUT");
});

describe("a gateway's mode", () => {
  test("nat-unprotected lets outsiders in who know the way, of that family, but no other network", async () => {
    const IPAM = { Config: [{ Subnet: "10.119.0.0/24" }, { Subnet: "fd00:19::/64" }] };
    const Options = bridgeOption("gateway_mode_ipv6", "nat-unprotected");
    await daemon.createNetwork({ Name: "free", EnableIPv6: true, IPAM, Options });
    await daemon.createNetwork({ Name: "other", EnableIPv6: true });
    const [web, stranger] = [await add({ networks: ["free"] }), await add({ networks: ["other"] })];
    for (const address of ["0.0.0.0", "::"]) await web.host.serve("tcp", address, 80, "web");
    expect(await topology.outside.ask("tcp", "fd00:19::2", 80)).toBe("web fd00:2::2");
    expect(await topology.outside.ask("tcp", "10.119.0.2", 80)).toBe("TIMEOUT");
    expect(await stranger.host.ask("tcp", "fd00:19::2", 80)).toBe("TIMEOUT");
    expect(await web.host.ask("tcp", "fd00:2::2", 80)).toBe("outside fd00:2::1");
  });

  test("isolated leaves the host without an address on an internal network", async () => {
    const Options = { ...bridgeOption("gateway_mode_ipv4", "isolated"), ...bridgeOption("name", "ttalone") };
    await expect(daemon.createNetwork({ Name: "outward", Options })).rejects.toThrow("only an internal network has that mode");
    await daemon.createNetwork({ Name: "alone", Internal: true, Options, IPAM: { Config: [{ Subnet: "10.120.0.0/24" }] } });
    expect(await sh("ip addr show dev ttalone")).not.toContain("inet");
    const [one, two] = [await add({ networks: ["alone"] }), await add({ networks: ["alone"] })];
    await one.host.serve("tcp", "0.0.0.0", 80, "one");
    expect(await two.host.ask("tcp", one.address, 80)).toBe(`one ${two.address}`);
  });
});

test("ports that name no address are published where the network says", async () => {
  await daemon.createNetwork({ Name: "local", Options: bridgeOption("host_binding_ipv4", "127.0.0.1") });
  const { host, ports } = await add({ networks: ["local"], ports: [{ hostPort: 8080 }, { hostPort: 8081, hostAddress: "192.0.2.1" }] });
  await host.serve("tcp", "0.0.0.0", 80, "web");
  expect(ports).toEqual(["127.0.0.1 8080/tcp", "192.0.2.1 8081/tcp"]);
  expect(await topology.host.ask("tcp", "127.0.0.1", 8080)).toMatch(/^web /);
  expect(await topology.outside.ask("tcp", "192.0.2.1", 8080)).not.toMatch(/^web /);
});

describe("the default network, as the daemon was started", () => {
  let other: TestNetworks;
  const open = async (bridge: NetworksOptions["bridge"], folder = "other"): Promise<void> => {
    other = await openTestNetworks(path.join(topology.folder, folder), { bridge: { name: "ttdefault", ...bridge } });
  };
  const join = async (options: Parameters<TestNetworks["add"]>[0] = {}): Promise<{ host: TestHost; address: string }> => {
    const { file, address } = await other.add(options);
    const host = openHost(file);
    servers.push(host);
    return { host, address };
  };
  afterEach(async () => {
    await other.close();
  });

  test("with IPv6 and parts of its subnets for containers; without IPv6 again afterwards", async () => {
    await open({ address: "10.121.0.1/16", range: "10.121.4.0/24", ipv6: { address: "fd00:21::1/64", range: "fd00:21::100/120" } });
    const one = await join({ ports: [{ hostPort: 8090 }] });
    await one.host.serve("tcp", "::", 80, "one");
    expect(one.address).toBe("10.121.4.0");
    expect(await one.host.sh("ip -br addr show dev eth0")).toContain("fd00:21::100/64");
    expect(await topology.outside.ask("tcp", "fd00:2::1", 8090)).toBe("one fd00:2::2");
    expect(other.networks.inspect("bridge")).toMatchObject({
      EnableIPv6: true,
      IPAM: {
        Config: [
          { Subnet: "10.121.0.0/16", IPRange: "10.121.4.0/24" },
          { Subnet: "fd00:21::/64", Gateway: "fd00:21::1" },
        ],
      },
    });
    await other.close();
    await open({ address: "10.121.0.1/16" });
    expect(await (await join()).host.sh("ip -6 addr show dev eth0")).toBe("");
  });

  test("leaves an IPv6 subnet to others that it no longer has", async () => {
    await open({ name: "tsubott", address: "10.126.0.1/24", ipv6: { range: "fd00:26::/64" } }, "moves");
    expect(await sh("ip -6 addr show dev tsubott")).toContain("fd00:26::1/64");
    await other.networks[Symbol.asyncDispose]();
    await open({ name: "tsubott", address: "10.126.0.1/24", ipv6: { range: "fd00:27::/64" } }, "moves");
    const listed = await sh("ip -6 addr show dev tsubott");
    expect(listed).toContain("fd00:27::1/64");
    expect(listed).not.toContain("fd00:26::1");
  });

  test("with a local IPv6 subnet of its own, the same at the next start", async () => {
    await open({ address: "10.122.0.1/24", ipv6: {} }, "local");
    const subnet = other.networks.inspect("bridge").IPAM.Config?.[1]?.Subnet;
    expect(subnet).toMatch(/^fd[0-9a-f]{2}:[0-9a-f:]*::\/64$/);
    await other.close();
    await open({ address: "10.122.0.1/24", ipv6: {} }, "local");
    expect(other.networks.inspect("bridge").IPAM.Config?.[1]?.Subnet).toBe(subnet);
  });

  test("closed: its containers reach each other where they are linked, and nowhere else", async () => {
    await open({ address: "10.123.0.1/24", icc: false });
    const web = await join();
    await web.host.serve("tcp", "0.0.0.0", 80, "web");
    await web.host.serve("tcp", "0.0.0.0", 81, "web81");
    const linked = await join({ linkedPorts: [{ address: web.address, port: 80, protocol: "tcp" }] });
    const stranger = await join();
    expect(await linked.host.ask("tcp", web.address, 80)).toBe(`web ${linked.address}`);
    expect(await linked.host.ask("tcp", web.address, 81)).toBe("TIMEOUT");
    expect(await stranger.host.ask("tcp", web.address, 80)).toBe("TIMEOUT");
    expect(await stranger.host.ask("tcp", "192.0.2.2", 80)).toBe("outside 192.0.2.1");
  });

  test("without masquerade, and with ports published on one address", async () => {
    await open({ address: "10.124.0.1/24", masquerade: false, bindingAddress: "127.0.0.1" });
    const { ports } = await other.add({ ports: [{ hostPort: 8090 }] });
    expect(ports).toEqual(["127.0.0.1 8090/tcp"]);
    expect(await (await join()).host.ask("tcp", "192.0.2.2", 80)).toBe("outside 10.124.0.3");
  });

  test("keeps clear of the subnets of other networks, though their bridges are not there", async () => {
    await open({ address: "10.125.0.1/24" }, "clear");
    await other.createNetwork({ Name: "first", IPAM: { Config: [{ Subnet: "172.17.0.0/16" }] } });
    await other.close();
    await open({ name: "ttother" }, "clear");
    expect(other.networks.inspect("bridge").IPAM.Config?.[0]?.Subnet).not.toBe("172.17.0.0/16");
  });
});

async function idOf(network: string): Promise<string> {
  return daemon.networks.idOf(network) ?? "";
}

import { once } from "node:events";
import { createServer, type Server } from "node:net";
import path from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";

import type { FirewallWay } from "../src/kernel/net/nftables.ts";
import { openTestNetworks, type TestContainer, type TestNetworks } from "./network/networks.ts";
import { openHost, sh, type TestHost } from "./network/host.ts";
import { openTopology, type Topology } from "./network/topology.ts";

/** Published ports: which are given, which are refused and how, and that clients always reach whom they should. */

let topology: Topology;
let daemon: TestNetworks;
/** What a test joined; all of it leaves after it. */
let joined: TestContainer[] = [];
let servers: TestHost[] = [];

beforeAll(async () => {
  topology = await openTopology();
  daemon = await openTestNetworks(path.join(topology.folder, "daemon"));
});

afterEach(async () => {
  // As the engine does: a container leaves when its processes have ended.
  for (const host of servers) await host.close();
  for (const { id } of joined) await daemon.networks.leave(id);
  [servers, joined] = [[], []];
  const kept = daemon.networks.expectedObjects().filter(({ kind }) => kind === "namespace" || kind === "port");
  const left = [...kept.map(({ kind, name }) => `kept: ${kind} ${name}`), ...(await daemon.differences())];
  if (left.length > 0) throw new Error(`the test left something behind:\n${left.join("\n")}`);
});

afterAll(async () => {
  await daemon?.close();
  await topology?.close();
});

async function add(...args: Parameters<TestNetworks["add"]>): Promise<TestContainer> {
  const container = await daemon.add(...args);
  joined.push(container);
  return container;
}

async function listen(port: number, host: string): Promise<Server> {
  const server = createServer().listen({ port, host });
  await once(server, "listening");
  return server;
}

async function serving(container: TestContainer, protocol: "tcp" | "udp", port: number, name: string): Promise<TestHost> {
  const host = openHost(container.file);
  servers.push(host);
  await host.serve(protocol, "0.0.0.0", port, name);
  return host;
}

describe("choosing", () => {
  test("a port without an address is published on all, IPv4 and IPv6", async () => {
    const { ports } = await add({ ports: [{ hostPort: 8080 }] });
    expect(ports).toEqual(["0.0.0.0 8080/tcp", ":: 8080/tcp"]);
  });

  test("one with an address is published there only", async () => {
    const { ports } = await add({ ports: [{ hostPort: 8080, hostAddress: "127.0.0.1" }] });
    expect(ports).toEqual(["127.0.0.1 8080/tcp"]);
  });

  test("without a host port a free one of the ephemeral range is given, the same for IPv4 and IPv6, each time another", async () => {
    const numbers: number[] = [];
    for (let round = 0; round < 3; round += 1) {
      const { ports } = await add({ ports: [{}] });
      const [first, second] = ports.map((port) => Number(/(\d+)\/tcp/.exec(port)?.[1]));
      expect(first).toBe(second);
      numbers.push(first ?? 0);
    }
    const [low = 0, high = 0] = (await sh("sysctl -n net.ipv4.ip_local_port_range")).trim().split(/\s+/).map(Number);
    expect(new Set(numbers).size).toBe(3);
    expect(numbers.every((number) => number >= low && number <= high)).toBe(true);
  });

  test("of a range the first free one is given; what containers or the host have is passed over; then it is refused", async () => {
    const busy = await listen(8101, "0.0.0.0");
    try {
      const range = { hostPort: 8100, hostPortEnd: 8102 };
      expect((await add({ ports: [range] })).ports[0]).toBe("0.0.0.0 8100/tcp");
      expect((await add({ ports: [range] })).ports[0]).toBe("0.0.0.0 8102/tcp");
      await expect(add({ ports: [range] })).rejects.toThrow(/port is already allocated|address already in use/);
    } finally {
      busy.close();
    }
  });

  test("tcp and udp of one number are two ports", async () => {
    const { ports } = await add({
      ports: [
        { hostPort: 8080, hostAddress: "127.0.0.1" },
        { hostPort: 8080, hostAddress: "127.0.0.1", protocol: "udp" },
      ],
    });
    expect(ports).toEqual(["127.0.0.1 8080/tcp", "127.0.0.1 8080/udp"]);
  });

  test("sctp is published on IPv4", async () => {
    const { ports } = await add({ ports: [{ hostPort: 8080, protocol: "sctp" }] });
    expect(ports).toEqual(["0.0.0.0 8080/sctp"]);
  });
});

describe("refusing, in Docker's words", () => {
  test("a port that another container has", async () => {
    await add({ name: "first", ports: [{ hostPort: 8080 }] });
    await expect(add({ name: "second", ports: [{ hostPort: 9090 }, { hostPort: 8080 }] })).rejects.toThrow(
      /^failed to set up container networking: driver failed programming external connectivity on endpoint second \([0-9a-f]{64}\): Bind for 0\.0\.0\.0:8080 failed: port is already allocated$/,
    );
    // Nothing of the one that was refused is left: its first port is free.
    expect((await add({ ports: [{ hostPort: 9090 }] })).ports).toContain("0.0.0.0 9090/tcp");
  });

  test("a port that a program of the host has", async () => {
    const busy = await listen(8080, "0.0.0.0");
    await expect(add({ ports: [{ hostPort: 8080 }] })).rejects.toThrow("failed to bind host port 0.0.0.0:8080/tcp: address already in use");
    busy.close();
    await once(busy, "close");
    expect((await add({ ports: [{ hostPort: 8080 }] })).ports).toContain("0.0.0.0 8080/tcp");
  });

  test("one on 127.0.0.1 that a container has on every address", async () => {
    await add({ ports: [{ hostPort: 8080 }] });
    await expect(add({ ports: [{ hostPort: 8080, hostAddress: "127.0.0.1" }] })).rejects.toThrow(
      "failed to bind host port 127.0.0.1:8080/tcp: address already in use",
    );
  });

  test("one on an address that the host does not have", async () => {
    await expect(add({ ports: [{ hostPort: 8080, hostAddress: "203.0.113.77" }] })).rejects.toThrow(
      "failed to bind host port 203.0.113.77:8080/tcp: cannot assign requested address",
    );
    await expect(add({ ports: [{ hostPort: 8080, hostAddress: "fd00:2::77" }] })).rejects.toThrow(
      "failed to bind host port [fd00:2::77]:8080/tcp: cannot assign requested address",
    );
  });

  test("an address outside of the network, and one that is taken", async () => {
    await expect(add({ address: "172.17.0.99" })).rejects.toThrow(
      "user specified IP address is supported only when connecting to networks with user configured subnets",
    );
    const networks = ["mine"];
    await daemon.createNetwork({
      Name: "mine",
      IPAM: { Config: [{ Subnet: "10.99.0.0/24", AuxiliaryAddresses: { router: "10.99.0.7" } }] },
    });
    await expect(add({ networks, address: "10.1.1.1" })).rejects.toThrow("no configured subnet contains IP address 10.1.1.1");
    const { address } = await add({ networks, address: "10.99.0.99" });
    expect(address).toBe("10.99.0.99");
    for (const taken of [address, "10.99.0.1", "10.99.0.7"])
      await expect(add({ networks, address: taken })).rejects.toThrow("Address already in use");
  });

  test("a network that is not there", async () => {
    await expect(add({ networks: ["nowhere"] })).rejects.toThrow("network nowhere not found");
  });
});

describe("holding", () => {
  test("nothing on the host can take a published port, on any address", async () => {
    await add({ ports: [{ hostPort: 8080 }, { hostPort: 8081, hostAddress: "192.0.2.1" }] });
    for (const [port, host] of [
      [8080, "0.0.0.0"],
      [8080, "127.0.0.1"],
      [8080, "::"],
      [8080, "::1"],
      [8081, "192.0.2.1"],
      [8081, "0.0.0.0"],
    ] as const) {
      await expect(listen(port, host), `${host} ${port}`).rejects.toThrow("EADDRINUSE");
    }
  });

  test("a service of the host that has just ended does not keep its port", async () => {
    const host = openHost(`/proc/${process.pid}/ns/net`);
    await host.serve("tcp", "0.0.0.0", 8085, "service");
    expect(await topology.host.ask("tcp", "127.0.0.1", 8085)).toBe("service 127.0.0.1");
    await host.close();
    // The service closed first, so its side of the connection stays for a minute.
    expect(await sh("ss -Htan state time-wait sport = :8085")).toContain(":8085");
    expect((await add({ ports: [{ hostPort: 8085 }] })).ports).toContain("0.0.0.0 8085/tcp");
  });

  test("a port is free again when its container has left, though IPv6 clients were connected", async () => {
    const first = await add({ ports: [{ hostPort: 8080 }] });
    const server = await serving(first, "tcp", 80, "first");
    expect(await topology.host.ask("tcp", "::1", 8080)).toBe("first 172.17.0.1");
    await server.close();
    await daemon.networks.leave(first.id);
    const second = await add({ ports: [{ hostPort: 8080 }] });
    await serving(second, "tcp", 80, "second");
    expect(await topology.host.ask("tcp", "::1", 8080)).toBe("second 172.17.0.1");
    expect(await topology.outside.ask("tcp", "192.0.2.1", 8080)).toBe("second 192.0.2.2");
  });
});

describe("moving", () => {
  test.each([
    { family: 4, networks: ["bridge"], host: "192.0.2.1", seen: "192.0.2.2", any: "0.0.0.0" },
    { family: 6, networks: ["dual"], host: "fd00:2::1", seen: "fd00:2::2", any: "::" },
  ])("a UDP client of IPv$family that never pauses reaches the container that has the port now", async ({ networks, host, seen, any }) => {
    if (networks[0] === "dual") await daemon.createNetwork({ Name: "dual", EnableIPv6: true });
    const client = (): Promise<string> => topology.outside.ask("udp", host, 8053, 5353);
    const port = { hostPort: 8053, containerPort: 53, protocol: "udp" } as const;
    const serves = async (container: TestContainer, name: string): Promise<TestHost> => {
      const served = openHost(container.file);
      servers.push(served);
      await served.serve("udp", any, 53, name);
      return served;
    };
    // Asked before anybody serves it: the kernel remembers this as a connection to the host.
    expect(await client()).toMatch(/TIMEOUT|ECONNREFUSED/);
    const first = await add({ networks, ports: [port] });
    const server = await serves(first, "first");
    expect(await client()).toBe(`first ${seen}`);
    await server.close();
    await daemon.networks.leave(first.id);
    // Others take the address and the port.
    const heir = await add({ networks });
    expect(heir.address).toBe(first.address);
    await serves(heir, "heir");
    expect(await client()).toMatch(/TIMEOUT|ECONNREFUSED/);
    const second = await add({ networks, ports: [port] });
    await serves(second, "second");
    expect(await client()).toBe(`second ${seen}`);
  });

  test("an address that is used again at once answers from its new container", async () => {
    for (let round = 0; round < 5; round += 1) {
      const { id, file, address } = await daemon.add({ name: `round${round}` });
      expect(address).toBe("172.17.0.2");
      const host = await serving({ id, file, address, ports: [] }, "tcp", 80, `round${round}`);
      expect(await topology.host.ask("tcp", address, 80)).toBe(`round${round} 172.17.0.1`);
      await daemon.networks.leave(id);
      await host.close();
    }
  });
});

describe.each(["library", "program"] as const satisfies FirewallWay[])("the firewall by way of %s", (way) => {
  test("publishes, survives a foreign flush and leaves nothing", async () => {
    const plain = await openTestNetworks(path.join(topology.folder, way), {
      firewallWay: way,
      bridge: { name: `tt${way}`, address: "10.88.0.1/24" },
    });
    try {
      const container = await plain.add({ ports: [{ hostPort: 8090 }] });
      const server = await serving(container, "tcp", 80, way);
      const answer = (): Promise<string> => topology.outside.ask("tcp", "192.0.2.1", 8090);
      expect(await answer()).toBe(`${way} 192.0.2.2`);

      await sh(`nft delete table inet ${plain.table}`);
      await expect.poll(answer, { timeout: 10_000 }).toBe(`${way} 192.0.2.2`);
      await sh(`nft flush chain inet ${plain.table} publish`);
      await expect.poll(() => sh(`nft list chain inet ${plain.table} publish`), { timeout: 10_000 }).toContain("@port4any");
      await sh(`nft delete element inet ${plain.table} port4any { tcp . 8090 }`);
      await expect.poll(answer, { timeout: 10_000 }).toBe(`${way} 192.0.2.2`);

      await server.close();
      await plain.networks.leave(container.id);
      expect(await plain.differences()).toEqual([]);
    } finally {
      await plain.close();
    }
    expect(await sh("nft list tables")).not.toContain(plain.table);
    expect(await sh("ip -br link")).not.toContain(`tt${way}`);
  });
});

test("a table of our own is left alone by a foreign flush", async () => {
  const container = await add({ ports: [{ hostPort: 8080 }] });
  await serving(container, "tcp", 80, "web");
  await sh("nft flush ruleset");
  expect(await topology.outside.ask("tcp", "192.0.2.1", 8080)).toBe("web 192.0.2.2");
  await expect(sh(`nft flush chain inet ${daemon.table} publish`)).rejects.toThrow("Operation not permitted");
});

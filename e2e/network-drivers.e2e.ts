import { once } from "node:events";
import { createServer } from "node:net";
import path from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";

import { newId } from "../src/base/ids.ts";
import { openLog } from "../src/base/log.ts";
import { openBridgeDriver } from "../src/engine/networks/bridge-driver.ts";
import type { EndpointRecord } from "../src/engine/networks/endpoint-records.ts";
import { DECLARATIONS, RULES } from "../src/engine/networks/firewall-rules.ts";
import type { NetworkDriver } from "../src/engine/networks/network-driver.ts";
import { emptyNetwork, type NetworkRecord } from "../src/engine/networks/network-records.ts";
import type { PortRequest } from "../src/engine/networks/networks.ts";
import { nullDriver } from "../src/engine/networks/null-driver.ts";
import { openPortHolder, type PortHolder } from "../src/engine/networks/port-holder.ts";
import { openPorts } from "../src/engine/networks/ports.ts";
import { openKernelWorker, type KernelWorker } from "../src/kernel/net/kernel-worker.ts";
import { sh } from "./network/host.ts";
import { workerPath } from "./network/networks.ts";
import { openTopology, type Topology } from "./network/topology.ts";

/** What the engine relies on with every network driver (`network-driver.ts`), against the kernel. */

let topology: Topology;
let kernel: KernelWorker;
let holder: PortHolder;
let namespace: string;

beforeAll(async () => {
  topology = await openTopology();
  const log = openLog("networks", "fatal");
  kernel = await openKernelWorker(workerPath, log);
  holder = await openPortHolder(log);
  await openFirewall();
});

async function openFirewall(): Promise<void> {
  const scratchFile = path.join(topology.folder, "firewall.nft");
  const settings = { table: "tsubo_contract", declarations: [...DECLARATIONS], rules: [...RULES], elements: [], keep: [], scratchFile };
  await kernel.call("openFirewall", { ...settings, way: "owner" });
}

beforeEach(async () => {
  namespace = path.join(topology.folder, newId());
  await kernel.call("createNamespace", namespace);
});

afterEach(() => kernel.call("removeNamespace", namespace));

afterAll(async () => {
  await holder?.[Symbol.asyncDispose]();
  await kernel?.call("removeFirewall");
  await kernel?.[Symbol.asyncDispose]();
  await topology?.close();
});

/** Links, addresses, rules and held ports. */
async function everything(): Promise<string[]> {
  // Not the addresses that links give themselves, in their own time.
  const links = (await sh("ip -o addr show scope global")).split("\n").map((line) => line.replace(/^\d+: /, ""));
  const { elements } = await kernel.call("listObjects", topology.folder, []);
  const names = (await sh("ip -br link")).split("\n").map((line) => line.split(/[ @]/)[0] ?? "");
  const rules = elements.filter(({ set }) => !set.startsWith("uplinks")).map(({ set, key, value }) => `${set} ${key} ${value}`);
  const ports = holder.held().map(({ hostAddress, hostPort }) => `${hostAddress} ${hostPort}`);
  return [...links, ...names, ...rules, ...ports].sort();
}

const port = (hostPort: number): PortRequest => {
  return { containerPort: 80, protocol: "tcp", hostAddress: "", hostPort, hostPortEnd: hostPort };
};

interface Case {
  name: string;
  driver: () => NetworkDriver;
  network: NetworkRecord;
  endpoint: Pick<EndpointRecord, "hostLink" | "containerLink" | "ipv4Address" | "ipv6Address">;
}

const cases: Case[] = [
  {
    name: "bridge",
    driver: () => openBridgeDriver(kernel, openPorts(holder), openLog("networks", "fatal")),
    network: {
      ...emptyNetwork(),
      name: "net",
      enableIpv6: true,
      pools: [
        { family: 4, subnet: "10.131.0.0/24", gateway: "10.131.0.1", auxiliary: {}, isConfigured: true },
        { family: 6, subnet: "fd00:31::/64", gateway: "fd00:31::1", auxiliary: {}, isConfigured: true },
      ],
      bridge: { name: "ttcontract", icc: true, masquerade: true },
    },
    endpoint: { hostLink: "tsubocontract", containerLink: "eth0", ipv4Address: "10.131.0.2", ipv6Address: "fd00:31::2" },
  },
  {
    name: "null",
    driver: () => nullDriver,
    network: { ...emptyNetwork(), name: "none", driver: "null" },
    endpoint: { hostLink: "", containerLink: "", ipv4Address: "", ipv6Address: "" },
  },
];

function endpointOf({ network, endpoint }: Case): EndpointRecord {
  return {
    ...endpoint,
    containerId: newId(),
    containerName: "web",
    networkId: network.id,
    networkName: network.name,
    endpointId: newId(),
    macAddress: "02:42:0a:83:00:02",
    ipv4PrefixLength: 24,
    gateway: "10.131.0.1",
    ipv6PrefixLength: 64,
    ipv6Gateway: "fd00:31::1",
    gatewayPriority: 0,
    isGateway: true,
    dnsNames: [],
    links: [],
    linkedPorts: [],
    ports: [],
  };
}

describe.each(cases)("driver $name", (each) => {
  const { driver: open, network, endpoint: own } = each;
  const endpoint = endpointOf(each);
  let driver: NetworkDriver;
  let before: string[];

  beforeEach(async () => {
    driver = open();
    before = await everything();
  });

  /** Whatever a test made. */
  afterEach(async () => {
    await driver.tearDownEndpoint(network, endpoint);
    await driver.unplug(network, endpoint);
    await driver.tearDown(network);
    expect(await everything()).toEqual(before);
  });

  test("validates without touching anything", async () => {
    driver.validate(network);
    expect(await everything()).toEqual(before);
  });

  test("sets up a network again without harm, and takes it down again without harm", async () => {
    await driver.setUp(network);
    const once = await everything();
    await driver.setUp(network);
    expect(await everything()).toEqual(once);
    await driver.tearDown(network);
    await driver.tearDown(network);
    expect(await everything()).toEqual(before);
  });

  test("leaves nothing of an endpoint that cannot be set up", async () => {
    await driver.setUp(network);
    const without = await everything();
    const outcome = await driver.setUpEndpoint(network, endpoint, path.join(topology.folder, "nowhere")).catch(() => "refused");
    // A driver that makes nothing needs no namespace.
    expect(outcome).toBe(own.hostLink === "" ? undefined : "refused");
    expect(await everything()).toEqual(without);
  });

  test("publishes on an endpoint that is there and takes that back, as often as it is asked to", async () => {
    await driver.setUp(network);
    await driver.setUpEndpoint(network, endpoint, namespace);
    const unpublished = await everything();
    const published = await driver.publish(network, endpoint, [port(8080), port(8081)]);
    expect(published.ports.map(({ hostAddress, hostPort }) => `${hostAddress} ${hostPort}`)).toEqual(
      own.hostLink === "" ? [] : ["0.0.0.0 8080", ":: 8080", "0.0.0.0 8081", ":: 8081"],
    );
    await driver.withdraw(network, published);
    expect(await everything()).toEqual(unpublished);
    await driver.withdraw(network, published);
    await driver.publish(network, endpoint, [port(8080)]);
    await driver.tearDownEndpoint(network, published);
    await driver.tearDownEndpoint(network, published);
    await driver.unplug(network, endpoint);
    await driver.unplug(network, endpoint);
  });

  test("brings back what a daemon held of an endpoint, or says that its link is gone", async () => {
    await driver.setUp(network);
    await driver.setUpEndpoint(network, endpoint, namespace);
    const published = await driver.publish(network, endpoint, [port(8080)]);
    const whole = await everything();
    const next = open();
    expect(await next.resumeEndpoint(network, published)).toBe(true);
    expect(await everything()).toEqual(whole);
    await driver.unplug(network, endpoint);
    expect(await next.resumeEndpoint(network, published)).toBe(own.hostLink === "");
    await driver.tearDownEndpoint(network, published);
  });
});

describe("driver bridge", () => {
  const [bridge] = cases;
  if (bridge === undefined) throw new Error("no case");

  test("publishes all ports or none", async () => {
    const busy = createServer().listen(8081, "0.0.0.0");
    await once(busy, "listening");
    const before = await everything();
    const endpoint = endpointOf(bridge);
    await expect(bridge.driver().publish(bridge.network, endpoint, [port(8080), port(8081)])).rejects.toThrow("address already in use");
    expect(await everything()).toEqual(before);
    busy.close();
  });

  test("takes down an endpoint past what fails, and says so at the end", async () => {
    const driver = bridge.driver();
    await driver.setUp(bridge.network);
    const published = await driver.publish(bridge.network, endpointOf(bridge), [port(8080)]);
    await kernel.call("removeFirewall");
    await expect(driver.tearDownEndpoint(bridge.network, published)).rejects.toThrow("the firewall is not open");
    expect(holder.held()).toEqual([]);
    await expect(driver.tearDown(bridge.network)).rejects.toThrow("the firewall is not open");
    expect(await sh("ip -br link")).not.toContain("ttcontract");
    await openFirewall();
  });
});

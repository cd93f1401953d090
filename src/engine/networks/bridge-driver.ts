import { EngineError, messageOf } from "../../base/errors.ts";
import { failpoint } from "../../base/failpoint.ts";
import { Undo } from "../../base/undo.ts";
import type { Log } from "../../base/log.ts";
import type { KernelWorker } from "../../kernel/net/kernel-worker.ts";
import { requirePrefix } from "./leases.ts";
import { macOf } from "./mac-addresses.ts";
import { endpointElements, networkElements } from "./firewall-rules.ts";
import type { NetworkDriver } from "./network-driver.ts";
import { isPredefined, poolOf, type AddressPool, type BridgeSettings, type NetworkRecord } from "./network-records.ts";
import type { Ports } from "./ports.ts";
import { formatIp, formatPrefix, parsePrefix } from "./prefixes.ts";
import { chooseSubnet, clashes, type SubnetPool } from "./subnets.ts";

/** Networks of one host: a Linux bridge with a subnet, NAT to the outside, published ports by the firewall. */
export function openBridgeDriver(kernel: KernelWorker, ports: Ports, log: Log, defaults: readonly SubnetPool[]): NetworkDriver {
  return {
    validate(network) {
      settingsOf(network);
    },

    async setUp(network) {
      const settings = settingsOf(network);
      const found = await kernel.call("findBridge", settings.name);
      const existing = found?.address === undefined ? undefined : `${found.address}/${found.prefixLength}`;
      if (existing !== undefined && settings.address !== undefined && existing !== settings.address) {
        throw new EngineError(
          "conflict",
          `using bridge ${settings.name} with ${settings.address}: it exists with ${existing}: remove it (ip link delete ${settings.name}) or ask for its own address`,
        );
      }
      const addressed = isPredefined(network) ? await addressDefault(kernel, network, existing ?? settings.address, defaults) : network;
      const pool = ipv4PoolOf(addressed);
      await kernel.call("ensureBridge", {
        name: settings.name,
        address: pool.gateway,
        prefixLength: requirePrefix(pool.subnet).length,
        macAddress: macOf(pool.gateway),
        mtu: settings.mtu,
      });
      failpoint("network.setup.bridge");
      await kernel.call("changeFirewall", {
        add: networkElements(addressed),
        remove: poolOf(network, 4)?.subnet === pool.subnet ? [] : networkElements(network),
      });
      log.debug({ bridge: settings.name, subnet: pool.subnet, gateway: pool.gateway }, "bridge ready");
      return addressed;
    },

    async tearDown(network) {
      const settings = settingsOf(network);
      await kernel.call("removeLink", settings.name);
      await kernel.call("changeFirewall", { add: [], remove: networkElements(network) });
    },

    async setUpEndpoint(network, endpoint, namespaceFile, requests) {
      const settings = settingsOf(network);
      await using undo = new Undo((message) => log.warn(message));
      const published = await ports.publish(requests, endpoint.ipv4Address).catch((error: unknown) => {
        const kind = error instanceof EngineError ? error.kind : "system";
        const text = `driver failed programming external connectivity on endpoint ${endpoint.containerName} (${endpoint.endpointId}): ${messageOf(error)}`;
        throw new EngineError(kind, text, { cause: error });
      });
      undo.defer("withdrawing ports", () => ports.withdraw(published));
      failpoint("network.join.ports");

      await kernel.call("connect", {
        namespaceFile,
        bridge: settings.name,
        hostLink: endpoint.hostLink,
        containerLink: endpoint.containerLink,
        macAddress: endpoint.macAddress,
        address: endpoint.ipv4Address,
        prefixLength: endpoint.ipv4PrefixLength,
        gateway: endpoint.isGateway && !network.internal ? endpoint.gateway : undefined,
        mtu: settings.mtu,
      });
      undo.defer("disabling the port", () => kernel.call("disablePort", endpoint.hostLink));
      failpoint("network.join.link");

      const elements = endpointElements({ ...endpoint, ports: published });
      if (elements.length > 0) {
        undo.defer("removing port rules", () => kernel.call("changeFirewall", { add: [], remove: elements }));
        await kernel.call("changeFirewall", { add: elements, remove: [] });
        // Only UDP has clients that go on sending to a port nobody served, which the kernel tracks as a connection to the host itself.
        const datagrams = published
          .filter((port) => port.protocol === "udp")
          .map((port) => ({ port: port.hostPort, protocol: port.protocol }));
        if (datagrams.length > 0) await kernel.call("forgetConnections", { ports: datagrams });
      }
      failpoint("network.join.firewall");
      undo.keep();
      return { ...endpoint, ports: published };
    },

    async tearDownEndpoint(_network, endpoint) {
      const failures: unknown[] = [];
      const attempt = async (work: () => Promise<unknown>): Promise<void> => {
        await work().catch((error: unknown) => failures.push(error));
      };
      const elements = endpointElements(endpoint);
      if (elements.length > 0) await attempt(() => kernel.call("changeFirewall", { add: [], remove: elements }));
      await attempt(async () => {
        failpoint("network.leave.firewall");
        await ports.withdraw(endpoint.ports);
      });
      await attempt(() => kernel.call("disablePort", endpoint.hostLink));
      // Connections that were rewritten to this container would go on reaching whoever gets its address next.
      if (elements.length > 0) await attempt(() => kernel.call("forgetConnections", { address: endpoint.ipv4Address }));
      if (failures.length > 0) throw new AggregateError(failures, failures.map(messageOf).join("; "));
    },

    unplug: (_network, endpoint) => kernel.call("removeLink", endpoint.hostLink),

    async resumeEndpoint(network, endpoint) {
      if (!(await kernel.call("reattach", endpoint.hostLink, settingsOf(network).name))) return false;
      await ports.resume(endpoint.ports, endpoint.ipv4Address);
      await kernel.call("changeFirewall", { add: endpointElements(endpoint), remove: [] });
      return true;
    },
  };
}

function settingsOf(network: NetworkRecord): BridgeSettings {
  if (network.bridge === undefined) throw new EngineError("invalid", `network ${network.name} has no bridge settings`);
  return network.bridge;
}

function ipv4PoolOf(network: NetworkRecord): AddressPool {
  const pool = poolOf(network, 4);
  if (pool === undefined) throw new EngineError("invalid", `network ${network.name} has no IPv4 subnet`);
  return pool;
}

/**
 * The default network with its pool: as the address of its bridge makes it; else the subnet it had before, unless the host has taken it
 * since; else the first free one.
 */
async function addressDefault(
  kernel: KernelWorker,
  network: NetworkRecord,
  address: string | undefined,
  defaults: readonly SubnetPool[],
): Promise<NetworkRecord> {
  const withPool = (pool: Pick<AddressPool, "subnet" | "gateway">): NetworkRecord => ({
    ...network,
    pools: [{ ...pool, family: 4, auxiliary: {}, isConfigured: false }],
  });
  if (address !== undefined) {
    const parsed = parsePrefix(address);
    if (parsed?.address.family !== 4) {
      throw new EngineError(
        "invalid",
        `bridge ${network.bridge?.name}: ${address} is not an address with a prefix length, such as 172.17.0.1/16`,
      );
    }
    return withPool({ subnet: formatPrefix(parsed.prefix), gateway: formatIp(parsed.address) });
  }
  const taken = (await kernel.call("hostNetworks")).filter((other) => other.link !== network.bridge?.name).map((other) => other.network);
  const before = poolOf(network, 4);
  if (before !== undefined && !clashes(requirePrefix(before.subnet), taken)) return network;
  const subnet = chooseSubnet(4, taken, defaults);
  return withPool({ subnet: formatPrefix(subnet), gateway: formatIp({ family: 4, value: subnet.base + 1n }) });
}

import { isIPv4, isIPv6 } from "node:net";

import { EngineError, messageOf } from "../../base/errors.ts";
import { failpoint } from "../../base/failpoint.ts";
import { Undo } from "../../base/undo.ts";
import type { Log } from "../../base/log.ts";
import type { InterfaceAddress } from "../../kernel/net/bridge.ts";
import type { FirewallElement } from "../../kernel/net/firewall.ts";
import type { KernelWorker } from "../../kernel/net/kernel-worker.ts";
import { requirePrefix } from "./leases.ts";
import { macOf } from "./mac-addresses.ts";
import type { EndpointRecord } from "./endpoint-records.ts";
import { endpointElements, networkElements, portElements } from "./firewall-rules.ts";
import type { NetworkDriver } from "./network-driver.ts";
import type { PortBinding } from "./networks.ts";
import { poolOf, type BridgeSettings, type NetworkRecord } from "./network-records.ts";
import type { Ports } from "./ports.ts";

/** Networks of one host: a Linux bridge with a subnet, NAT to the outside, published ports by the firewall. */
export function openBridgeDriver(kernel: KernelWorker, ports: Ports, log: Log): NetworkDriver {
  const change = async (add: FirewallElement[], remove: FirewallElement[]): Promise<void> => {
    if (add.length > 0 || remove.length > 0) await kernel.call("changeFirewall", { add, remove });
  };
  /** Only UDP has clients that go on sending without a connection. */
  const forget = async (bindings: readonly PortBinding[]): Promise<void> => {
    const datagrams = bindings.filter(({ protocol }) => protocol === "udp");
    const ports = datagrams.map(
      ({ hostAddress, hostPort, protocol }) => ({ family: isIPv6(hostAddress) ? 6 : 4, port: hostPort, protocol }) as const,
    );
    if (ports.length > 0) await kernel.call("forgetConnections", ports);
  };
  const withdrawal = (endpoint: EndpointRecord, elements: FirewallElement[]): (() => Promise<void>)[] => [
    () => change([], elements),
    async () => {
      failpoint("network.leave.firewall");
      await ports.withdraw(endpoint.ports);
    },
    // What was rewritten to this container would go on reaching whoever gets its address next.
    () => forget(endpoint.ports),
  ];

  return {
    validate(network) {
      settingsOf(network);
      for (const family of [4, 6])
        if (network.pools.filter((pool) => pool.family === family).length > 1)
          throw new EngineError("forbidden", `network ${network.name}: bridge driver doesn't support multiple subnets of IPv${family}`);
    },

    async setUp(network) {
      const settings = settingsOf(network);
      const addresses = ownAddresses(network);
      const wanted = addresses.find(({ address }) => isIPv4(address));
      const found = await kernel.call("findBridge", settings.name);
      if (found?.address !== undefined && wanted !== undefined && !isSame(wanted, { ...found, address: found.address })) {
        const [ours, existing] = [`${wanted.address}/${wanted.prefixLength}`, `${found.address}/${found.prefixLength}`];
        throw new EngineError(
          "conflict",
          `using bridge ${settings.name} with ${ours}: it exists with ${existing}: remove it (ip link delete ${settings.name}) or ask for its own address`,
        );
      }
      await kernel.call("ensureBridge", {
        name: settings.name,
        addresses,
        macAddress: macOf((poolOf(network, 4) ?? poolOf(network, 6))?.gateway ?? ""),
        mtu: settings.mtu,
        closed: !settings.icc,
      });
      failpoint("network.setup.bridge");
      await kernel.call("changeFirewall", { add: networkElements(network), remove: [] });
      log.debug({ bridge: settings.name, pools: network.pools }, "bridge ready");
    },

    async tearDown(network) {
      const settings = settingsOf(network);
      // The rules first: a bridge that they name and that is gone would be made again.
      await goingOn([
        () => change([], networkElements(network)),
        ...(settings.isForeign === true ? [] : [() => kernel.call("removeLink", settings.name)]),
      ]);
    },

    async setUpEndpoint(network, endpoint, namespaceFile) {
      const settings = settingsOf(network);
      await using undo = new Undo((message) => log.warn(message));
      await kernel.call("connect", {
        namespaceFile,
        bridge: settings.name,
        hostLink: endpoint.hostLink,
        containerLink: endpoint.containerLink,
        macAddress: endpoint.macAddress,
        addresses: addressesOf(endpoint).map((each) => {
          return { ...each, gateway: endpoint.isGateway && !network.internal ? each.gateway : undefined };
        }),
        mtu: settings.mtu,
        closed: !settings.icc,
      });
      undo.defer("disabling the port", () => kernel.call("disablePort", endpoint.hostLink));
      failpoint("network.join.link");
      await change(endpointElements(endpoint), []);
      undo.keep();
    },

    async publish(network, endpoint, requests) {
      if (network.internal || requests.length === 0) return endpoint;
      await using undo = new Undo((message) => log.warn(message));
      const bound = requests.map((request) => ({
        ...request,
        hostAddress: request.hostAddress || (settingsOf(network).bindingAddress ?? ""),
      }));
      const published = await ports.publish(bound, endpoint).catch((error: unknown) => {
        const kind = error instanceof EngineError ? error.kind : "system";
        const text = `driver failed programming external connectivity on endpoint ${endpoint.containerName} (${endpoint.endpointId}): ${messageOf(error)}`;
        throw new EngineError(kind, text, { cause: error });
      });
      undo.defer("withdrawing ports", () => ports.withdraw(published));
      failpoint("network.join.ports");

      const elements = portElements({ ...endpoint, ports: published });
      undo.defer("removing port rules", () => change([], elements));
      await change(elements, []);
      // Packets to a port that nobody served are tracked as a connection to the host itself.
      await forget(published);
      failpoint("network.join.firewall");
      undo.keep();
      return { ...endpoint, ports: published };
    },

    withdraw: (_network, endpoint) => goingOn(withdrawal(endpoint, portElements(endpoint))),

    tearDownEndpoint: (_network, endpoint) =>
      goingOn([...withdrawal(endpoint, endpointElements(endpoint)), () => kernel.call("disablePort", endpoint.hostLink)]),

    unplug: (_network, endpoint) => kernel.call("removeLink", endpoint.hostLink),

    async resumeEndpoint(network, endpoint) {
      const { name, icc } = settingsOf(network);
      if (!(await kernel.call("reattach", endpoint.hostLink, name, !icc))) return false;
      await ports.resume(endpoint.ports, endpoint);
      await kernel.call("changeFirewall", { add: endpointElements(endpoint), remove: [] });
      return true;
    },
  };
}

/** All of it, past what fails; rejects with that at the end. */
async function goingOn(steps: readonly (() => Promise<void>)[]): Promise<void> {
  const failures: unknown[] = [];
  for (const step of steps) await step().catch((error: unknown) => failures.push(error));
  if (failures.length > 0) throw new AggregateError(failures, failures.map(messageOf).join("; "));
}

function settingsOf(network: NetworkRecord): BridgeSettings {
  if (network.bridge === undefined) throw new EngineError("invalid", `network ${network.name} has no bridge settings`);
  return network.bridge;
}

/** What the bridge has itself: the gateways, unless somebody else is one or nobody. */
function ownAddresses({ pools, bridge }: NetworkRecord): InterfaceAddress[] {
  return pools
    .filter(({ family }) => (family === 6 || bridge?.withoutIpv4 !== true) && bridge?.gatewayModes?.[family] !== "isolated")
    .map(({ gateway, subnet }) => ({ address: gateway, prefixLength: requirePrefix(subnet).length }));
}

function isSame(one: InterfaceAddress, other: InterfaceAddress): boolean {
  return one.address === other.address && one.prefixLength === other.prefixLength;
}

/** An endpoint's addresses, of one family or both. */
function addressesOf(endpoint: EndpointRecord): { address: string; prefixLength: number; gateway: string }[] {
  return [
    { address: endpoint.ipv4Address, prefixLength: endpoint.ipv4PrefixLength, gateway: endpoint.gateway },
    { address: endpoint.ipv6Address, prefixLength: endpoint.ipv6PrefixLength, gateway: endpoint.ipv6Gateway },
  ].filter(({ address }) => address !== "");
}

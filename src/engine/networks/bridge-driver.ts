import { EngineError, messageOf } from "../../base/errors.ts";
import { failpoint } from "../../base/failpoint.ts";
import { Undo } from "../../base/undo.ts";
import type { Log } from "../../base/log.ts";
import type { KernelWorker } from "../../kernel/net/kernel-worker.ts";
import { formatAddress, formatSubnet, macOf, parseAddress, parseCidr, requireSubnet } from "./addresses.ts";
import { networkElements, portElements } from "./firewall-rules.ts";
import type { NetworkDriver } from "./network-driver.ts";
import type { BridgeSettings, NetworkRecord } from "./network-records.ts";
import type { Ports } from "./ports.ts";
import { chooseSubnet, clashes } from "./subnets.ts";

/** Name of the container's end of its first link. */
const CONTAINER_LINK = "eth0";

/** Networks of one host: a Linux bridge with a subnet, NAT to the outside, published ports by the firewall. */
export function openBridgeDriver(kernel: KernelWorker, ports: Ports, log: Log): NetworkDriver {
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
      const wanted = existing ?? settings.address;
      const addressed = wanted === undefined ? await chooseAddresses(kernel, network) : withAddress(network, wanted);
      await kernel.call("ensureBridge", {
        name: settings.name,
        address: addressed.gateway,
        prefixLength: requireSubnet(addressed.ipv4Subnet).prefixLength,
        macAddress: macOf(parseAddress(addressed.gateway) ?? 0),
        mtu: settings.mtu,
      });
      failpoint("network.setup.bridge");
      await kernel.call("changeFirewall", {
        add: networkElements(addressed),
        remove: network.ipv4Subnet === addressed.ipv4Subnet ? [] : networkElements(network),
      });
      log.debug({ bridge: settings.name, subnet: addressed.ipv4Subnet, gateway: addressed.gateway }, "bridge ready");
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
        containerLink: CONTAINER_LINK,
        macAddress: endpoint.macAddress,
        address: endpoint.ipv4Address,
        prefixLength: endpoint.ipv4PrefixLength,
        gateway: network.internal ? undefined : endpoint.gateway,
        mtu: settings.mtu,
      });
      undo.defer("disabling the port", () => kernel.call("disablePort", endpoint.hostLink));
      failpoint("network.join.link");

      const elements = portElements(endpoint.ipv4Address, published);
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
      const elements = portElements(endpoint.ipv4Address, endpoint.ports);
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

    async resumeEndpoint(network, endpoint) {
      await ports.resume(endpoint.ports, endpoint.ipv4Address);
      await kernel.call("reattach", endpoint.hostLink, settingsOf(network).name);
      await kernel.call("changeFirewall", { add: portElements(endpoint.ipv4Address, endpoint.ports), remove: [] });
    },
  };
}

function settingsOf(network: NetworkRecord): BridgeSettings {
  if (network.bridge === undefined) throw new EngineError("invalid", `network ${network.name} has no bridge settings`);
  return network.bridge;
}

type AddressedNetwork = NetworkRecord & { ipv4Subnet: string; gateway: string };

/** The network as the address of its bridge makes it. */
function withAddress(network: NetworkRecord, cidr: string): AddressedNetwork {
  const parsed = parseCidr(cidr);
  if (parsed === undefined)
    throw new EngineError(
      "invalid",
      `bridge ${network.bridge?.name}: ${cidr} is not an address with a prefix length, such as 172.17.0.1/16`,
    );
  return { ...network, ipv4Subnet: formatSubnet(parsed.subnet), gateway: formatAddress(parsed.address) };
}

/** The subnet it had before unless the host has taken it since, else the first free one of the pools. */
async function chooseAddresses(kernel: KernelWorker, network: NetworkRecord): Promise<AddressedNetwork> {
  const taken = (await kernel.call("hostNetworks")).filter((other) => other.link !== network.bridge?.name).map((other) => other.network);
  const { ipv4Subnet, gateway } = network;
  if (ipv4Subnet !== undefined && gateway !== undefined && !clashes(requireSubnet(ipv4Subnet), taken))
    return { ...network, ipv4Subnet, gateway };
  const subnet = chooseSubnet(taken);
  return { ...network, ipv4Subnet: formatSubnet(subnet), gateway: formatAddress(subnet.base + 1) };
}

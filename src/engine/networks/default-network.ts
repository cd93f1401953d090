import { EngineError } from "../../base/errors.ts";
import { requirePrefix } from "./leases.ts";
import { allNetworks, DEFAULT_NETWORK, findNetwork, poolOf, saveNetwork, type AddressPool, type NetworkRecord } from "./network-records.ts";
import type { NetworkParts } from "./parts.ts";
import { formatIp, formatPrefix, isIn, parsePrefix, type Prefix } from "./prefixes.ts";
import { chooseSubnet, clashes, privatePool } from "./subnets.ts";

/** The default network is what the daemon is started with, each time anew. */
export interface DefaultNetworkOptions {
  /** Its bridge. */
  name?: string | undefined;
  /** Of the bridge, with prefix length (`--bip`). Absent: its own if it is there, else one of `range`, else as before, else a free one. */
  address?: string | undefined;
  /** Containers get addresses of this part of the subnet (`--fixed-cidr`). */
  range?: string | undefined;
  /** Present: IPv6 too. The bridge's address as above, and the subnet or the part of it for containers. */
  ipv6?: { address?: string | undefined; range?: string | undefined } | undefined;
  mtu?: number | undefined;
  icc?: boolean | undefined;
  masquerade?: boolean | undefined;
  bindingAddress?: string | undefined;
}

const DEFAULT_BRIDGE = "tsubo0";

/** Writes all of that into its record. */
export async function configureDefaultNetwork(parts: NetworkParts, options: DefaultNetworkOptions): Promise<void> {
  const { database, kernel, addressPools } = parts;
  const networks = allNetworks(database);
  const network = findNetwork(networks, DEFAULT_NETWORK);
  const { name = DEFAULT_BRIDGE, icc = true, masquerade = true, mtu, bindingAddress, address, range, ipv6 } = options;
  const ownLinks = new Set([name, ...networks.map(({ bridge }) => bridge?.name)]);
  const hosts = (await kernel.call("hostNetworks")).filter(({ link }) => !ownLinks.has(link)).map((host) => host.network);
  const others = networks.filter(({ id }) => id !== network.id).flatMap(({ pools }) => pools.map(({ subnet }) => subnet));
  const choice = { taken: [...hosts, ...others], before: network.bridge?.name === name ? network.pools : [] };

  const found = await kernel.call("findBridge", name);
  const foundAddress = found?.address === undefined ? undefined : `${found.address}/${found.prefixLength}`;
  const pools = [choosePool(4, address ?? foundAddress, range, choice, addressPools)];
  if (ipv6 !== undefined) pools.push(choosePool(6, ipv6.address, ipv6.range, choice, [privatePool(network.id)]));
  const bridge = { name, icc, masquerade, mtu, bindingAddress };
  const changed: NetworkRecord = { ...network, enableIpv6: ipv6 !== undefined, pools, bridge };
  if (JSON.stringify(changed) !== JSON.stringify(network)) saveNetwork(database, changed);
}

function choosePool(
  family: 4 | 6,
  address: string | undefined,
  range: string | undefined,
  { taken, before }: { taken: readonly string[]; before: AddressPool[] },
  pools: Parameters<typeof chooseSubnet>[2],
): AddressPool {
  const part = range === undefined ? undefined : requirePrefix(range);
  if (address !== undefined) {
    const parsed = parsePrefix(address);
    if (parsed === undefined || parsed.address.family !== family)
      throw new EngineError("invalid", `the default network: ${address} is no IPv${family} address with a prefix length`);
    const { prefix } = parsed;
    if (part !== undefined && !isIn(prefix, { family: part.family, value: part.base }))
      throw new EngineError("invalid", `the default network: ${range} is no part of ${formatPrefix(prefix)}`);
    return { ...poolOfSubnet(prefix, parsed.address.value), range: part === undefined ? undefined : formatPrefix(part) };
  }
  if (part !== undefined) return poolOfSubnet(part);
  const kept = poolOf({ pools: before }, family);
  if (kept !== undefined && !clashes(requirePrefix(kept.subnet), taken)) return kept;
  return poolOfSubnet(chooseSubnet(family, taken, pools));
}

function poolOfSubnet(subnet: Prefix, gateway = subnet.base + 1n): AddressPool {
  const { family } = subnet;
  return { family, subnet: formatPrefix(subnet), gateway: formatIp({ family, value: gateway }), auxiliary: {}, isConfigured: false };
}

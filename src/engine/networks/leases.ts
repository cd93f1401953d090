import { EngineError } from "../../base/errors.ts";
import type { AddressPool, NetworkRecord } from "./network-records.ts";
import { formatIp, isIn, lastIn, parseIp, parsePrefix, type Prefix } from "./prefixes.ts";

/** The address a new endpoint gets of a pool: the wanted one, or the lowest that is free (as Docker's allocator does on local networks). */
export function chooseAddress(
  network: Pick<NetworkRecord, "id" | "name">,
  pool: AddressPool,
  leased: ReadonlySet<string>,
  wanted: string | undefined,
): string {
  const taken = (text: string): boolean => text === pool.gateway || leased.has(text) || Object.values(pool.auxiliary).includes(text);
  if (wanted !== undefined && wanted !== "") {
    const address = parseIp(wanted);
    if (address === undefined) throw new EngineError("invalid", `invalid IPv${pool.family} address: ${wanted}`);
    const text = formatIp(address);
    if (taken(text)) throw new EngineError("forbidden", "Address already in use");
    return text;
  }
  const subnet = requirePrefix(pool.subnet);
  const range = requirePrefix(pool.range ?? pool.subnet);
  for (let value = range.base; value <= lastIn(range); value += 1n) {
    if (isUnusable(subnet, value)) continue;
    const text = formatIp({ family: pool.family, value });
    if (!taken(text)) return text;
  }
  throw new EngineError(
    "system",
    `no available IPv${pool.family} addresses on this network's address pools: ${network.name} (${network.id})`,
  );
}

/** Addresses can be named only where a subnet was. */
export function checkFixedAddresses(
  { name, pools }: Pick<NetworkRecord, "name" | "pools">,
  wanted: { ipv4Address?: string | undefined; ipv6Address?: string | undefined },
): void {
  for (const [family, address] of [
    [4, wanted.ipv4Address],
    [6, wanted.ipv6Address],
  ] as const) {
    if (address === undefined) continue;
    const configured = pools.filter((pool) => pool.family === family && pool.isConfigured);
    const ip = parseIp(address);
    const isConfigured = ip !== undefined && configured.some(({ subnet }) => isIn(requirePrefix(subnet), ip));
    if (isConfigured) continue;
    const why =
      configured.length === 0
        ? "user specified IP address is supported only when connecting to networks with user configured subnets"
        : `no configured subnet contains IP address ${address}`;
    throw new EngineError("invalid", `invalid config for network ${name}: invalid endpoint settings:\n${why}`);
  }
}

/** The network's own address, and in IPv4 the broadcast address; blocks of two addresses or one have neither (RFC 3021). */
export function isUnusable(subnet: Prefix, value: bigint): boolean {
  if (lastIn(subnet) - subnet.base < 2n) return false;
  return value === subnet.base || (subnet.family === 4 && value === lastIn(subnet));
}

/** For what was checked before. */
export function requirePrefix(text: string): Prefix {
  const parsed = parsePrefix(text);
  if (parsed === undefined) throw new EngineError("invalid", `not a subnet: ${text}: write it like 172.17.0.0/16`);
  return parsed.prefix;
}

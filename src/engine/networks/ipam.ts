import { EngineError } from "../../base/errors.ts";
import { isUnusable, requirePrefix } from "./leases.ts";
import type { AddressPool } from "./network-records.ts";
import { doOverlap, formatIp, formatPrefix, isIn, lastIn, parseIp, parsePrefix, type Prefix } from "./prefixes.ts";
import { chooseSubnet, type SubnetPool } from "./subnets.ts";

/** Where a network's addresses come from, as `POST /networks/create` asks for it (Engine API 1.50, IPAMConfig). Pure. */
export interface AskedPool {
  Subnet: string;
  IPRange: string;
  Gateway: string;
  AuxiliaryAddresses: ReadonlyMap<string, string> | undefined;
}

/** Refuses what cannot be, all of it at once and in Docker's words (moby api/types/network/ipam.go). */
export function checkPools(asked: readonly AskedPool[], enableIpv6: boolean): void {
  const faults = asked.flatMap((pool) => faultsOf(pool, enableIpv6));
  if (faults.length > 0) throw new EngineError("invalid", `invalid network config:\n${faults.join("\n")}`);
}

function faultsOf({ Subnet, IPRange, Gateway, AuxiliaryAddresses }: AskedPool, enableIpv6: boolean): string[] {
  // A gateway or range without a subnet is noticed when the pool is made.
  if (Subnet === "") return [];
  const parsed = parsePrefix(Subnet);
  if (parsed === undefined) return [`invalid subnet ${Subnet}: invalid CIDR block notation`];
  const { prefix } = parsed;
  if (prefix.family === 6 && !enableIpv6) return [];
  const faults: string[] = [];
  if (parsed.address.value !== prefix.base) faults.push(`invalid subnet ${Subnet}: it should be ${formatPrefix(prefix)}`);
  faults.push(...rangeFaults(IPRange, prefix));
  const gatewayFault = addressFault(Gateway, prefix);
  if (gatewayFault !== undefined) faults.push(`invalid gateway ${Gateway}: ${gatewayFault}`);
  for (const [name, address] of AuxiliaryAddresses ?? []) {
    const fault = addressFault(address, prefix);
    if (fault !== undefined) faults.push(`invalid auxiliary address ${name}: ${fault}`);
  }
  return faults;
}

function rangeFaults(range: string, subnet: Prefix): string[] {
  if (range === "") return [];
  const parsed = parsePrefix(range);
  const faulty = (why: string): string => `invalid ip-range ${range}: ${why}`;
  if (parsed === undefined) return [faulty("invalid CIDR block notation")];
  const { prefix } = parsed;
  if (prefix.family !== subnet.family) return [faulty(`parent subnet is an IPv${subnet.family} block`)];
  const faults: string[] = [];
  if (prefix.length < subnet.length) faults.push(faulty(`CIDR block is bigger than its parent subnet ${formatPrefix(subnet)}`));
  if (parsed.address.value !== prefix.base) faults.push(faulty(`it should be ${formatPrefix(prefix)}`));
  if (!doOverlap(subnet, prefix)) faults.push(faulty(`parent subnet ${formatPrefix(subnet)} doesn't contain ip-range`));
  return faults;
}

function addressFault(text: string, subnet: Prefix): string | undefined {
  if (text === "") return undefined;
  const address = parseIp(text);
  if (address === undefined) return "invalid address";
  if (address.family !== subnet.family) return `parent subnet is an IPv${subnet.family} block`;
  return isIn(subnet, address) ? undefined : `parent subnet ${formatPrefix(subnet)} doesn't contain this address`;
}

export interface PoolSources {
  /** Subnets of our other networks. */
  ours: readonly string[];
  /** The host's addresses and routes: subnets that nobody named keep clear of them. */
  hosts: readonly string[];
  defaults: readonly SubnetPool[];
}

/** The pools of one family: those asked for or, where there are none, one that clashes with nobody. Checked before. */
export function makePools(family: 4 | 6, asked: readonly AskedPool[], { ours, hosts, defaults }: PoolSources): AddressPool[] {
  const own = asked.filter(({ Subnet, Gateway, IPRange }) => familyOf(Subnet || IPRange || Gateway) === family);
  if (own.length === 0) return [freePool(family, undefined, { ours, hosts, defaults })];
  const made: AddressPool[] = [];
  for (const pool of own) {
    if (pool.Subnet === "") {
      made.push(freePool(family, pool, { ours, hosts, defaults }));
      continue;
    }
    const subnet = requirePrefix(pool.Subnet);
    const others = [...ours, ...made.map((each) => each.subnet)].map(requirePrefix);
    if (others.some((other) => doOverlap(other, subnet)))
      throw new EngineError("forbidden", "invalid pool request: Pool overlaps with other one on this address space");
    made.push(poolOfSubnet(subnet, pool, true));
  }
  return made;
}

function freePool(family: 4 | 6, asked: AskedPool | undefined, { ours, hosts, defaults }: PoolSources): AddressPool {
  if (asked !== undefined && (asked.IPRange !== "" || asked.Gateway !== ""))
    throw new EngineError("invalid", "invalid network config: an ip-range or gateway needs a subnet: name it with --subnet");
  const subnet = chooseSubnet(family, [...ours, ...hosts], defaults);
  return poolOfSubnet(subnet, asked, false);
}

function poolOfSubnet(subnet: Prefix, asked: AskedPool | undefined, isConfigured: boolean): AddressPool {
  const auxiliary = [...(asked?.AuxiliaryAddresses ?? [])].map(([name, text]): [string, string] => [name, shortest(text)]);
  const range = asked === undefined || asked.IPRange === "" ? undefined : formatPrefix(requirePrefix(asked.IPRange));
  const pool = { family: subnet.family, subnet: formatPrefix(subnet), range, auxiliary: Object.fromEntries(auxiliary), isConfigured };
  if (asked !== undefined && asked.Gateway !== "") return { ...pool, gateway: shortest(asked.Gateway) };
  return { ...pool, gateway: firstFree(subnet, requirePrefix(range ?? pool.subnet), new Set(Object.values(pool.auxiliary))) };
}

/** The first address that may be used: Docker takes it from the range where there is one. */
function firstFree(subnet: Prefix, range: Prefix, taken: ReadonlySet<string>): string {
  for (let value = range.base; value <= lastIn(range); value += 1n) {
    const text = formatIp({ family: subnet.family, value });
    if (!isUnusable(subnet, value) && !taken.has(text)) return text;
  }
  throw new EngineError("invalid", `invalid network config: subnet ${formatPrefix(subnet)} has no address left for a gateway`);
}

function shortest(text: string): string {
  const address = parseIp(text);
  return address === undefined ? text : formatIp(address);
}

function familyOf(text: string): 4 | 6 {
  return text.includes(":") ? 6 : 4;
}

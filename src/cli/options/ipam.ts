import { BlockList, isIP } from "node:net";

/**
 * `network create --subnet --ip-range --gateway --aux-address`, each of which may come several times: ranges, gateways and addresses go to
 * the subnet that they lie in. Mistakes are told in Docker's words.
 */

export type IpamConfig = { Subnet: string; IPRange?: string; Gateway?: string; AuxiliaryAddresses?: Record<string, string> };

export type IpamOptions = {
  readonly subnets: readonly string[];
  readonly ranges: readonly string[];
  readonly gateways: readonly string[];
  readonly auxiliary: Readonly<Record<string, string>>;
};

export function groupBySubnet({ subnets, ranges, gateways, auxiliary }: IpamOptions): IpamConfig[] {
  if (subnets.length < ranges.length || subnets.length < gateways.length)
    throw new Error("every ip-range or gateway must have a corresponding subnet");
  const configs: IpamConfig[] = [];
  for (const subnet of subnets) {
    if (configs.some(({ Subnet: other }) => isIn(subnet, other) || isIn(other, subnet)))
      throw new Error("multiple overlapping subnet configuration is not supported");
    configs.push({ Subnet: subnet });
  }
  const subnetOf = (address: string, what: string): IpamConfig => {
    const config = configs.find(({ Subnet: subnet }) => isIn(address, subnet));
    if (config === undefined) throw new Error(`no matching subnet for ${what} ${address}`);
    return config;
  };
  for (const range of ranges) {
    const config = subnetOf(range, "range");
    if (config.IPRange !== undefined)
      throw new Error(`cannot configure multiple ranges (${range}, ${config.IPRange}) on the same subnet (${config.Subnet})`);
    config.IPRange = range;
  }
  for (const gateway of gateways) {
    const config = subnetOf(gateway, "gateway");
    if (config.Gateway !== undefined)
      throw new Error(`cannot configure multiple gateways (${gateway}, ${config.Gateway}) for the same subnet (${config.Subnet})`);
    config.Gateway = gateway;
  }
  for (const [name, address] of Object.entries(auxiliary)) (subnetOf(address, "aux-address").AuxiliaryAddresses ??= {})[name] = address;
  return configs;
}

/** Whether an address, or the first of a range, lies in the subnet. */
function isIn(address: string, subnet: string): boolean {
  const { ip: base, bits } = parseCidr(subnet, "invalid subnet: ");
  const ip = address.includes("/") ? parseCidr(address).ip : address;
  if (isIP(ip) === 0) return false;
  const within = new BlockList();
  within.addSubnet(base, bits, familyOf(base));
  return within.check(ip, familyOf(ip));
}

function parseCidr(text: string, context = ""): { ip: string; bits: number } {
  const [, ip = "", bits] = /^(.*)\/(\d{1,3})$/.exec(text) ?? [];
  if (isIP(ip) === 0 || Number(bits) > (isIP(ip) === 4 ? 32 : 128)) throw new Error(`${context}invalid CIDR address: ${text}`);
  return { ip, bits: Number(bits) };
}

function familyOf(ip: string): "ipv4" | "ipv6" {
  return isIP(ip) === 4 ? "ipv4" : "ipv6";
}

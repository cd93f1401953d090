import { isIP, isIPv6 } from "node:net";

import { EngineError } from "../../base/errors.ts";
import type { DefaultNetworkOptions } from "../../engine/networks/default-network.ts";
import { parsePrefix } from "../../engine/networks/prefixes.ts";
import type { SubnetPool } from "../../engine/networks/subnets.ts";
import { isObject } from "./config-file.ts";
import type { Settings } from "./settings.ts";

/** The flags of the default network, and the pools that subnets nobody named are taken from. */
export function readDefaultNetwork(settings: Settings): DefaultNetworkOptions & { name: string } {
  const range6 = readCidr(settings, "fixed-cidr-v6", 6);
  const address6 = readCidr(settings, "bip6", 6);
  const wantsIpv6 = settings.boolean("ipv6") === true;
  if (!wantsIpv6 && (range6 !== undefined || address6 !== undefined))
    throw new EngineError("invalid", `${range6 === undefined ? "bip6" : "fixed-cidr-v6"} is given without --ipv6`);
  return {
    name: settings.text("bridge") || "tsubo0",
    address: readCidr(settings, "bip", 4),
    range: readRange(settings, "fixed-cidr", 4),
    ipv6: wantsIpv6 ? { address: address6, range: readRange(settings, "fixed-cidr-v6", 6) } : undefined,
    mtu: settings.count("mtu", 0) || undefined,
    icc: settings.boolean("icc") ?? true,
    masquerade: settings.boolean("ip-masq") ?? true,
    bindingAddress: readBindingAddress(settings.text("ip")),
  };
}

/** Address and prefix length. A bridge of IPv4 needs room for a container, and a broadcast address. */
function readCidr(settings: Settings, name: string, family: 4 | 6): string | undefined {
  const text = settings.text(name);
  if (!text) return undefined;
  const parsed = parsePrefix(text);
  if (parsed?.address.family !== family || parsed.prefix.length > (family === 4 ? 30 : 126)) {
    const example = family === 4 ? "172.29.0.1/16" : "fd00:29::1/64";
    throw new EngineError("invalid", `${name}: an IPv${family} address with its subnet is wanted, such as ${example}, not "${text}"`);
  }
  return text;
}

function readRange(settings: Settings, name: string, family: 4 | 6): string | undefined {
  const text = readCidr(settings, name, family);
  const parsed = text === undefined ? undefined : parsePrefix(text);
  if (parsed !== undefined && parsed.address.value !== parsed.prefix.base)
    throw new EngineError("invalid", `${name}: ${text} is an address and no range of addresses`);
  return text;
}

function readBindingAddress(text = ""): string | undefined {
  if (text !== "" && isIP(text) === 0) throw new EngineError("invalid", `ip: invalid IP address: ${text}`);
  return ["", "0.0.0.0", "::"].includes(text) ? undefined : text;
}

/** `base=172.30.0.0/16,size=24`; in the file `{"base": …, "size": …}`. Undefined: Docker's own. */
export function readAddressPools(settings: Settings): SubnetPool[] | undefined {
  const value = settings.value("default-address-pool");
  if (!Array.isArray(value) || value.length === 0) return undefined;
  return value.map((item: unknown) => {
    const fields: Record<string, unknown> =
      typeof item === "string" ? Object.fromEntries(item.split(",").map((pair) => pair.split("=", 2))) : isObject(item) ? item : {};
    const base = typeof fields["base"] === "string" ? fields["base"] : "";
    const length = Number(fields["size"]);
    const parsed = parsePrefix(base);
    const bits = isIPv6(base.split("/")[0] ?? "") ? 128 : 32;
    if (parsed === undefined || parsed.address.value !== parsed.prefix.base)
      throw new EngineError(
        "invalid",
        `default-address-pool: invalid base pool ${JSON.stringify(base)}: base=172.30.0.0/16,size=24 is wanted`,
      );
    if (!Number.isInteger(length) || length < parsed.prefix.length || length > bits)
      throw new EngineError("invalid", `default-address-pool: a size from ${parsed.prefix.length} to ${bits} is wanted for ${base}`);
    return { base, length };
  });
}

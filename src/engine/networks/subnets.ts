import { createHash } from "node:crypto";

import { EngineError } from "../../base/errors.ts";
import { requirePrefix } from "./leases.ts";
import { doOverlap, lastIn, parsePrefix, type Prefix } from "./prefixes.ts";

/** Blocks of addresses from which networks that name no subnet get one of `length` (dockerd's `default-address-pools`). */
export interface SubnetPool {
  base: string;
  length: number;
}

/** Docker's own, in its order: 172.17–172.31 by /16, then 192.168 by /20. */
export const DEFAULT_POOLS: readonly SubnetPool[] = [
  ...Array.from({ length: 15 }, (_, index) => ({ base: `172.${17 + index}.0.0/16`, length: 16 })),
  { base: "192.168.0.0/16", length: 20 },
];

/** A block of local IPv6 addresses (RFC 4193) that is this engine's own: `seed` is an id of it that stays. */
export function privatePool(seed: string): SubnetPool {
  const digits = createHash("sha256").update(seed).digest("hex");
  return { base: `fd${digits.slice(0, 2)}:${digits.slice(2, 6)}:${digits.slice(6, 10)}::/48`, length: 64 };
}

/** The first network of the pools that shares no address with any of `taken` (`a.b.c.d/n`: routes, addresses, other networks). */
export function chooseSubnet(family: 4 | 6, taken: readonly string[], pools: readonly SubnetPool[]): Prefix {
  const others = taken.flatMap((text) => parsePrefix(text)?.prefix ?? []);
  for (const { base, length } of pools) {
    const whole = requirePrefix(base);
    if (whole.family !== family) continue;
    const bits = BigInt((family === 4 ? 32 : 128) - length);
    for (let candidate: Prefix = { family, base: whole.base, length }; candidate.base <= lastIn(whole);) {
      const clash = others.find((other) => doOverlap(other, candidate));
      if (clash === undefined) return candidate;
      // Behind what is in the way, however large.
      const next = clash.length < length ? lastIn(clash) + 1n : candidate.base + (1n << bits);
      candidate = { family, base: next, length };
    }
  }
  throw new EngineError(
    "system",
    "all predefined address pools have been fully subnetted, or clash with the host's routes: name a subnet (--subnet, --bip)",
  );
}

export function clashes(subnet: Prefix, taken: readonly string[]): boolean {
  return taken.some((text) => {
    const other = parsePrefix(text);
    return other !== undefined && doOverlap(other.prefix, subnet);
  });
}

import { EngineError } from "../../base/errors.ts";
import { overlap, parseCidr, requireSubnet, type Subnet } from "./addresses.ts";

/** Docker's default address pools, cut into networks in its order: 172.17–172.31 by /16, then 192.168 by /20. */
const DEFAULT_POOLS: readonly { from: string; prefixLength: number }[] = [
  ...Array.from({ length: 15 }, (_, index) => ({ from: `172.${17 + index}.0.0/16`, prefixLength: 16 })),
  { from: "192.168.0.0/16", prefixLength: 20 },
];

/** The first network of the pools that shares no address with any of `taken` (`a.b.c.d/n`: routes and addresses of the host). */
export function chooseSubnet(taken: readonly string[]): Subnet {
  for (const candidate of candidates()) {
    if (!clashes(candidate, taken)) return candidate;
  }
  throw new EngineError(
    "system",
    "choosing a subnet: all predefined address pools have been fully subnetted or clash with the host's routes: choose one with --bip",
  );
}

export function clashes(subnet: Subnet, taken: readonly string[]): boolean {
  return taken.map(parseCidr).some((other) => other !== undefined && overlap(other.subnet, subnet));
}

function* candidates(): Generator<Subnet> {
  for (const pool of DEFAULT_POOLS) {
    const whole = requireSubnet(pool.from);
    const size = 2 ** (32 - pool.prefixLength);
    const count = 2 ** (pool.prefixLength - whole.prefixLength);
    for (let index = 0; index < count; index += 1) yield { base: whole.base + index * size, prefixLength: pool.prefixLength };
  }
}

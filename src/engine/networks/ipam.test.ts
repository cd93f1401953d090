import { describe, expect, test } from "vitest";

import { checkPools, makePools, type AskedPool } from "./ipam.ts";
import { chooseAddress } from "./leases.ts";
import { DEFAULT_POOLS, privatePool } from "./subnets.ts";

const asked = (pool: Partial<AskedPool>): AskedPool => ({ Subnet: "", IPRange: "", Gateway: "", AuxiliaryAddresses: undefined, ...pool });
const nobody = { ours: [], hosts: [], defaults: DEFAULT_POOLS };

describe("what is refused, all at once", () => {
  test.each<[Partial<AskedPool>, string[]]>([
    [{ Subnet: "10.0.0.300/24" }, ["invalid subnet 10.0.0.300/24: invalid CIDR block notation"]],
    [{ Subnet: "10.0.0.1/24" }, ["invalid subnet 10.0.0.1/24: it should be 10.0.0.0/24"]],
    [{ Subnet: "10.0.0.0/24", IPRange: "10.0.0.0" }, ["invalid ip-range 10.0.0.0: invalid CIDR block notation"]],
    [{ Subnet: "10.0.0.0/24", IPRange: "fd00::/64" }, ["invalid ip-range fd00::/64: parent subnet is an IPv4 block"]],
    [
      { Subnet: "10.0.0.0/24", IPRange: "10.0.0.0/23" },
      ["invalid ip-range 10.0.0.0/23: CIDR block is bigger than its parent subnet 10.0.0.0/24"],
    ],
    [
      { Subnet: "10.0.0.0/24", IPRange: "10.0.1.0/25" },
      ["invalid ip-range 10.0.1.0/25: parent subnet 10.0.0.0/24 doesn't contain ip-range"],
    ],
    [{ Subnet: "10.0.0.0/24", Gateway: "here" }, ["invalid gateway here: invalid address"]],
    [
      { Subnet: "10.0.0.0/24", Gateway: "10.0.1.1", AuxiliaryAddresses: new Map([["dns", "fd00::1"]]) },
      [
        "invalid gateway 10.0.1.1: parent subnet 10.0.0.0/24 doesn't contain this address",
        "invalid auxiliary address dns: parent subnet is an IPv4 block",
      ],
    ],
  ])("%j", (pool, faults) => {
    expect(() => checkPools([asked(pool)], true)).toThrow(`invalid network config:\n${faults.join("\n")}`);
  });

  test("an IPv6 subnet of a network without IPv6 is not looked at, as in Docker", () => {
    expect(() => checkPools([asked({ Subnet: "fd00::1/64" })], false)).not.toThrow();
  });
});

describe("pools", () => {
  test("a subnet that nobody has, in Docker's order", () => {
    expect(makePools(4, [], nobody)).toMatchObject([{ subnet: "172.17.0.0/16", gateway: "172.17.0.1", isConfigured: false }]);
    const busy = { ...nobody, ours: ["172.17.0.0/16"], hosts: ["172.18.5.0/24", "172.19.0.0/15"] };
    expect(makePools(4, [], busy)).toMatchObject([{ subnet: "172.20.0.0/16" }]);
    expect(makePools(4, [], { ...nobody, hosts: ["172.16.0.0/12"] })).toMatchObject([{ subnet: "192.168.0.0/20", gateway: "192.168.0.1" }]);
    expect(() => makePools(4, [], { ...nobody, hosts: ["0.0.0.0/0"] })).toThrow("all predefined address pools have been fully subnetted");
  });

  test("IPv6 networks that name no subnet have one of the engine's own", () => {
    const defaults = [...DEFAULT_POOLS, privatePool("an id")];
    const [first] = makePools(6, [], { ...nobody, defaults });
    expect(first?.subnet).toMatch(/^fd[0-9a-f:]+::\/64$/);
    const [second] = makePools(6, [], { ...nobody, defaults, ours: [first?.subnet ?? ""] });
    expect(second?.subnet).not.toBe(first?.subnet);
  });

  test("the gateway is the first that is free, of the range where there is one", () => {
    const range = asked({ Subnet: "10.0.0.0/16", IPRange: "10.0.5.0/24", AuxiliaryAddresses: new Map([["router", "10.0.5.0"]]) });
    expect(makePools(4, [range], nobody)).toMatchObject([{ range: "10.0.5.0/24", gateway: "10.0.5.1", auxiliary: { router: "10.0.5.0" } }]);
    expect(makePools(6, [asked({ Subnet: "2001:db8::/64" })], nobody)).toMatchObject([{ gateway: "2001:db8::1", isConfigured: true }]);
  });

  test("a subnet that overlaps another network's is refused, the host's own is not", () => {
    const wanted = [asked({ Subnet: "10.0.0.0/24" })];
    expect(() => makePools(4, wanted, { ...nobody, ours: ["10.0.0.0/8"] })).toThrow("Pool overlaps with other one on this address space");
    expect(makePools(4, wanted, { ...nobody, hosts: ["10.0.0.0/8"] })).toHaveLength(1);
    expect(() => makePools(4, [...wanted, ...wanted], nobody)).toThrow("Pool overlaps");
  });
});

describe("leases", () => {
  const network = { id: "n", name: "n" };
  const pool = { family: 4 as const, subnet: "10.0.0.0/29", gateway: "10.0.0.1", auxiliary: { router: "10.0.0.3" }, isConfigured: true };

  test("the lowest that is free, then none", () => {
    const leased = new Set<string>();
    for (let next = 0; next < 4; next += 1) leased.add(chooseAddress(network, pool, leased, undefined));
    expect([...leased]).toEqual(["10.0.0.2", "10.0.0.4", "10.0.0.5", "10.0.0.6"]);
    expect(() => chooseAddress(network, pool, leased, undefined)).toThrow(
      "no available IPv4 addresses on this network's address pools: n (n)",
    );
  });

  test("a wanted one, unless somebody has it", () => {
    expect(chooseAddress(network, pool, new Set(), "10.0.0.6")).toBe("10.0.0.6");
    for (const taken of ["10.0.0.1", "10.0.0.3", "10.0.0.5"])
      expect(() => chooseAddress(network, pool, new Set(["10.0.0.5"]), taken)).toThrow("Address already in use");
  });

  test("a block of two has no broadcast address", () => {
    expect(chooseAddress(network, { ...pool, subnet: "10.0.0.0/31", gateway: "10.0.0.0" }, new Set(), undefined)).toBe("10.0.0.1");
  });
});

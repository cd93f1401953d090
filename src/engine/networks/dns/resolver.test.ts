import { beforeEach, describe, expect, test } from "vitest";

import { NameTable, type NamedEndpoint } from "./names.ts";
import { resolve, type DnsView, type Resolution } from "./resolver.ts";

let table: NameTable;
const front = { id: "f", name: "front", links: {} };
const back = { id: "b", name: "back.end", links: {} };
const view: DnsView = { networks: [front, back], upstreams: [], forwards: true, keepsSingleLabels: false };

const endpoint = (endpointId: string, networkId: string, names: string[], ipv4Address: string, ipv6Address = ""): NamedEndpoint => {
  return { endpointId, networkId, names, ipv4Address, ipv6Address };
};
const ask = (name: string, type = "A", from: DnsView = view): Resolution => resolve({ name, type, class: "IN" }, from, table);
/** What it says, in any order; `forward` or `fail` where it says nothing. */
const said = (resolution: Resolution): string[] | string =>
  resolution.kind === "answer" ? resolution.records.map(({ data }) => data).toSorted() : resolution.kind;

beforeEach(() => {
  table = new NameTable();
  table.put(endpoint("1", "f", ["web", "www", "aaaaaaaaaaaa"], "10.1.0.2", "fd00::2"));
  table.put(endpoint("2", "f", ["web2", "www"], "10.1.0.3"));
  table.put(endpoint("3", "b", ["db", "shop.example"], "10.2.0.2"));
  table.put(endpoint("4", "b", ["web"], "10.2.0.3"));
  table.put(endpoint("5", "x", ["secret"], "10.3.0.2"));
});

describe("names", () => {
  test("a container is found by its name, its short id and its alias, with any case and a dot at the end", () => {
    for (const name of ["web", "aaaaaaaaaaaa", "WEB", "web."]) expect(said(ask(name))).toEqual(["10.1.0.2"]);
    expect(ask("Web")).toEqual({ kind: "answer", records: [{ name: "Web", type: "A", ttl: 600, data: "10.1.0.2" }] });
  });

  test("all who share an alias are told, each of them first at times", () => {
    expect(said(ask("www"))).toEqual(["10.1.0.2", "10.1.0.3"]);
    const first = new Set<string | undefined>();
    for (let round = 0; round < 100; round += 1) {
      const resolution = ask("www");
      if (resolution.kind === "answer") first.add(resolution.records[0]?.data);
    }
    expect(first.size).toBe(2);
  });

  test("a name on two networks is the first one's, unless the network is named; network and names may have dots", () => {
    expect(said(ask("web"))).toEqual(["10.1.0.2"]);
    expect(said(ask("web.front"))).toEqual(["10.1.0.2"]);
    expect(said(ask("web.back.end"))).toEqual(["10.2.0.3"]);
    expect(said(ask("shop.example"))).toEqual(["10.2.0.2"]);
    expect(said(ask("shop.example.back.end"))).toEqual(["10.2.0.2"]);
    expect(said(ask("web.nosuch"))).toBe("forward");
  });

  test("others' networks are not seen, whatever is asked", () => {
    for (const [name, type] of [
      ["secret", "A"],
      ["secret.x", "A"],
      ["2.0.3.10.in-addr.arpa", "PTR"],
    ] as const)
      expect(said(ask(name, type))).toBe("forward");
  });

  test("a link is a name for this container alone, before all others", () => {
    const linked = { ...view, networks: [{ ...front, links: { db: "web2", ghost: "nobody" } }, back] };
    expect(said(ask("db", "A", linked))).toEqual(["10.1.0.3"]);
    expect(said(ask("DB.front", "A", linked))).toEqual(["10.1.0.3"]);
    expect(said(ask("web2", "A", linked))).toEqual(["10.1.0.3"]);
    expect(said(ask("ghost", "A", linked))).toBe("forward");
    expect(said(ask("constructor", "A", linked))).toBe("forward");
  });

  test("one that leaves is not found any more, its alias leads to the other", () => {
    table.remove("1");
    expect(said(ask("www"))).toEqual(["10.1.0.3"]);
    expect(said(ask("aaaaaaaaaaaa"))).toBe("forward");
    expect(said(ask("2.0.1.10.in-addr.arpa", "PTR"))).toBe("forward");
  });

  test("one that is renamed is found by its new name", () => {
    table.put(endpoint("2", "f", ["shop"], "10.1.0.3"));
    expect(said(ask("shop"))).toEqual(["10.1.0.3"]);
    expect(said(ask("web2"))).toBe("forward");
    expect(said(ask("3.0.1.10.in-addr.arpa", "PTR"))).toEqual(["shop.front"]);
  });
});

describe("types", () => {
  test("AAAA: the IPv6 address, or that there is none", () => {
    expect(said(ask("web", "AAAA"))).toEqual(["fd00::2"]);
    expect(said(ask("www", "AAAA"))).toEqual(["fd00::2"]);
    expect(said(ask("db", "AAAA"))).toEqual([]);
    expect(said(ask("nosuch", "AAAA"))).toBe("forward");
  });

  test("PTR: name and network of an address, IPv6 too; those of others are forwarded", () => {
    expect(said(ask("2.0.1.10.in-addr.arpa", "PTR"))).toEqual(["web.front"]);
    expect(said(ask("2.0.2.10.IN-ADDR.ARPA.", "PTR"))).toEqual(["db.back.end"]);
    expect(said(ask(`2.${"0.".repeat(27)}0.0.d.f.ip6.arpa`, "PTR"))).toEqual(["web.front"]);
    for (const name of ["9.9.1.10.in-addr.arpa", "1.10.in-addr.arpa", "x.ip6.arpa", "web"]) expect(said(ask(name, "PTR"))).toBe("forward");
  });

  test("MX of a container: no record, so mail goes to its address; other types are forwarded", () => {
    expect(said(ask("web", "MX"))).toEqual([]);
    expect(said(ask("nosuch", "MX"))).toBe("forward");
    expect(said(ask("web", "TXT"))).toBe("forward");
    expect(said(ask("_http._tcp.web", "SRV"))).toBe("forward");
    expect(said(resolve({ name: "web", type: "A", class: "CH" }, view, table))).toBe("forward");
  });

  test("a name too long for DNS leads nowhere back", () => {
    table.put(endpoint("6", "f", ["l".repeat(64)], "10.1.0.4"));
    expect(said(ask("4.0.1.10.in-addr.arpa", "PTR"))).toEqual([]);
  });
});

describe("what is not known here", () => {
  test("is nobody's business when there is no way outside", () => {
    const inside = { ...view, forwards: false };
    expect(said(ask("example.com", "A", inside))).toBe("fail");
    expect(said(ask("web", "TXT", inside))).toBe("fail");
    expect(said(ask("web", "A", inside))).toEqual(["10.1.0.2"]);
  });

  test("is completed by the container first where its options say so", () => {
    const completing = { ...view, keepsSingleLabels: true };
    expect(said(ask("nosuch", "A", completing))).toEqual([]);
    expect(said(ask("nosuch.", "AAAA", completing))).toEqual([]);
    expect(said(ask("nosuch.example", "A", completing))).toBe("forward");
    expect(said(ask("nosuch", "MX", completing))).toBe("forward");
  });
});

import { existsSync, writeFileSync } from "node:fs";
import path from "node:path";
import dnsPacket from "dns-packet";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";

import type { Upstream } from "../src/engine/networks/dns/resolver.ts";
import { openHost } from "./network/host.ts";
import {
  addressAnswer,
  askDns,
  decodeAnswer,
  exchange,
  lookUp,
  openClient,
  openNameServer,
  queryFor,
  type NameServer,
} from "./network/name-server.ts";
import { dnsWorkerPath, openTestNetworks, type TestContainer, type TestNetworks } from "./network/networks.ts";
import { openTopology, type Topology } from "./network/topology.ts";

/** The name server of containers, asked in their namespaces; the servers that it asks in turn are on a host outside and on the host itself. */

const OUTSIDE: Upstream = { address: "192.0.2.2", fromHost: false };
/** Here nobody listens: the sender is told so. */
const REFUSING: Upstream = { address: "192.0.2.1", fromHost: false };
const STUB: Upstream = { address: "127.0.0.53", fromHost: true };

let topology: Topology;
let daemon: TestNetworks;
let rounds = 0;
const servers: NameServer[] = [];

beforeAll(async () => {
  topology = await openTopology();
}, 30_000);
afterAll(() => topology?.close());

beforeEach(async () => {
  await open();
});

afterEach(async () => {
  for (const server of servers.splice(0)) await server.close();
  expect(await daemon.differences()).toEqual([]);
  await daemon.close();
});

async function open(options: Parameters<typeof openTestNetworks>[1] = {}): Promise<void> {
  rounds += 1;
  daemon = await openTestNetworks(path.join(topology.folder, `daemon${rounds}`), options);
  await daemon.createNetwork({ Name: "front", IPAM: { Config: [{ Subnet: "10.111.0.0/16" }] } });
  await daemon.createNetwork({ Name: "back", Internal: true, IPAM: { Config: [{ Subnet: "10.112.0.0/24" }] } });
}

interface Wanted {
  networks?: string[];
  aliases?: string[];
  links?: string[];
  upstreams?: Upstream[];
}

async function add(
  name: string,
  { networks = ["front"], aliases = [], links = [], upstreams = [OUTSIDE] }: Wanted = {},
): Promise<TestContainer> {
  const container = await daemon.add({ name, networks, dnsNames: [name, ...aliases], links });
  await daemon.networks.serveNames(container.id, { upstreams, keepsSingleLabels: false });
  return container;
}

async function serve(at: "outside" | "host", answer: Parameters<typeof openNameServer>[2]): Promise<NameServer> {
  const file = at === "outside" ? path.join(topology.folder, "outside") : "/proc/thread-self/ns/net";
  const server = await openNameServer(file, at === "outside" ? OUTSIDE.address : STUB.address, answer);
  servers.push(server);
  return server;
}

describe("names", () => {
  test("of those on its networks, by UDP and TCP; of no others", async () => {
    const web = await add("web", { aliases: ["www"], upstreams: [] });
    const both = await add("both", { networks: ["front", "back"], aliases: ["www"], upstreams: [] });
    const db = await add("db", { networks: ["back"], links: ["both:front-door"], upstreams: [] });
    for (const protocol of ["udp", "tcp"] as const) {
      expect(await lookUp(web.file, "both", { protocol })).toBe(both.address);
      expect(await lookUp(web.file, "WWW.front.", { protocol })).toBe(`${web.address} ${both.address}`);
      expect(await lookUp(both.file, "db", { protocol })).toBe(db.address);
      expect(await lookUp(web.file, "db", { protocol })).toBe("SERVFAIL");
      expect(await lookUp(db.file, "web", { protocol })).toBe("SERVFAIL");
    }
    expect(await lookUp(db.file, "front-door")).toMatch(/^10\.112\./);
    expect(await lookUp(both.file, "front-door")).toBe("SERVFAIL");
    expect(await lookUp(web.file, "both", { type: "AAAA" })).toBe("");
    expect(await lookUp(web.file, `${both.address.split(".").toReversed().join(".")}.in-addr.arpa`, { type: "PTR" })).toBe("both.front");
    await daemon.networks.leave(both.id);
    expect(await lookUp(web.file, "both")).toBe("SERVFAIL");
    expect(await lookUp(web.file, "www")).toBe(web.address);
  });

  test("more than a datagram holds: as many as there is room for, all by TCP or in a larger one", async () => {
    const containers: TestContainer[] = [];
    for (let number = 0; number < 60; number += 1) containers.push(await add(`c${number}`, { aliases: ["many"] }));
    const [first] = containers;
    const file = first?.file ?? "";
    const cut = await askDns(file, "many");
    expect(cut.flag_tc).toBe(true);
    expect(cut.answers?.length).toBeGreaterThan(10);
    expect(cut.answers?.length).toBeLessThan(60);
    const all = containers
      .map(({ address }) => address)
      .toSorted()
      .join(" ");
    expect(await lookUp(file, "many", { protocol: "tcp" })).toBe(all);
    expect(await lookUp(file, "many", { size: 4096 })).toBe(all);
  });

  test("the container may serve names on every address itself", async () => {
    const web = await add("web");
    const inside = openHost(web.file);
    for (const protocol of ["udp", "tcp"] as const) await inside.serve(protocol, "0.0.0.0", 53, "own");
    expect(await lookUp(web.file, "web")).toBe(web.address);
    expect(await inside.ask("tcp", web.address, 53)).toBe(`own ${web.address}`);
    await inside.close();
  });
});

describe("others are asked", () => {
  test("from the container, by the protocol it used, each time from another port", async () => {
    const outside = await serve("outside", (query) => [addressAnswer(query, "198.51.100.9")]);
    const web = await add("web");
    for (let round = 0; round < 5; round += 1) expect(await lookUp(web.file, "example.com")).toBe("198.51.100.9");
    expect(await lookUp(web.file, "by-tcp.example.com", { protocol: "tcp" })).toBe("198.51.100.9");
    expect(outside.asked.map(({ name, protocol }) => `${name} ${protocol}`)).toEqual([
      ...Array.from({ length: 5 }, () => "example.com udp"),
      "by-tcp.example.com tcp",
    ]);
    expect(new Set(outside.asked.map(({ port }) => port)).size).toBe(6);
  });

  test("on the host's own loopback, for what its resolv.conf says", async () => {
    const stub = await serve("host", (query) => [addressAnswer(query, "198.51.100.10")]);
    const web = await add("web", { upstreams: [STUB] });
    for (const protocol of ["udp", "tcp"] as const) expect(await lookUp(web.file, "example.com", { protocol })).toBe("198.51.100.10");
    expect(stub.asked).toHaveLength(2);
    // The user's own choice is the container's loopback, where nobody serves.
    const own = await add("own", { upstreams: [{ ...STUB, fromHost: false }] });
    expect(await lookUp(own.file, "example.com")).toBe("SERVFAIL");
  });

  test("the next one where one refuses, fails or is not there; SERVFAIL when none is left", async () => {
    await serve("outside", (query) => [addressAnswer(query, "198.51.100.9")]);
    const stub = await serve("host", (query) => [addressAnswer(query, "", { answers: [], flags: 5 })]);
    const web = await add("web", { upstreams: [REFUSING, STUB, OUTSIDE] });
    for (const protocol of ["udp", "tcp"] as const) expect(await lookUp(web.file, "example.com", { protocol })).toBe("198.51.100.9");
    expect(stub.asked).toHaveLength(2);
    const alone = await add("alone", { upstreams: [REFUSING, STUB] });
    for (const protocol of ["udp", "tcp"] as const) expect(await lookUp(alone.file, "example.com", { protocol })).toBe("SERVFAIL");
  });

  test("what they say of names that are not there, and of truncation, is passed on", async () => {
    await serve("outside", (query, protocol) => {
      if (query.questions?.[0]?.name === "nosuch.example") return [addressAnswer(query, "", { answers: [], flags: 3 })];
      return [addressAnswer(query, "198.51.100.9", protocol === "udp" ? { answers: [], flags: dnsPacket.TRUNCATED_RESPONSE } : {})];
    });
    const web = await add("web");
    expect(await lookUp(web.file, "nosuch.example")).toBe("NXDOMAIN");
    expect((await askDns(web.file, "large.example")).flag_tc).toBe(true);
    expect(await lookUp(web.file, "large.example", { protocol: "tcp" })).toBe("198.51.100.9");
  });

  test("again when a datagram was lost; answers to something else are passed over", async () => {
    let lost = false;
    await serve("outside", (query) => {
      if (!lost) {
        lost = true;
        return [];
      }
      return [
        addressAnswer(query, "203.0.113.1", { id: (query.id ?? 0) ^ 1 }),
        addressAnswer(query, "203.0.113.2", { questions: [{ name: "other.example", type: "A", class: "IN" }] }),
        addressAnswer(query, "198.51.100.9"),
      ];
    });
    const web = await add("web");
    expect(await lookUp(web.file, "example.com")).toBe("198.51.100.9");
  });

  test("never from internal networks: not what is unknown, nor other types of what is known", async () => {
    const [outside, stub] = [
      await serve("outside", (query) => [addressAnswer(query, "198.51.100.9")]),
      await serve("host", (query) => [addressAnswer(query, "198.51.100.9")]),
    ];
    const db = await add("db", { networks: ["back"], upstreams: [STUB, OUTSIDE] });
    for (const protocol of ["udp", "tcp"] as const) {
      expect(await lookUp(db.file, "secret.example", { protocol })).toBe("SERVFAIL");
      expect(await lookUp(db.file, "db", { protocol, type: "TXT" })).toBe("SERVFAIL");
      expect(await lookUp(db.file, "9.100.51.198.in-addr.arpa", { protocol, type: "PTR" })).toBe("SERVFAIL");
    }
    expect(await lookUp(db.file, "db")).toBe(db.address);
    expect([...outside.asked, ...stub.asked]).toEqual([]);
  });

  test("a container that leaves meanwhile leaves nothing", async () => {
    const outside = await serve("outside", () => []);
    const web = await add("web");
    const asking = Promise.allSettled(
      (["udp", "tcp"] as const).map((protocol) => exchange(web.file, queryFor("example.com"), { protocol }, 500)),
    );
    await vi.waitFor(() => expect(outside.asked).toHaveLength(2), 2000);
    await daemon.networks.leave(web.id);
    expect(await daemon.differences()).toEqual([]);
    await asking;
  });
});

describe("a container that means harm", () => {
  test("floods: others are answered, and it is refused what is too much", async () => {
    await serve("outside", () => []);
    const [bad, good] = [await add("bad"), await add("good")];
    const client = openClient(bad.file);
    const refused = new Set<string>();
    client.on("message", (bytes) => refused.add(decodeAnswer(bytes).rcode));
    const flood = setInterval(() => {
      for (let count = 0; count < 200; count += 1) client.send(queryFor(`x${count}.example`), 53, "127.0.0.11");
    }, 10);
    try {
      for (let round = 0; round < 50; round += 1) expect(await lookUp(good.file, "bad")).toBe(bad.address);
      await vi.waitFor(() => expect([...refused]).toContain("REFUSED"), 5000);
      expect(await lookUp(good.file, "good")).toBe(good.address);
    } finally {
      clearInterval(flood);
      client.close();
    }
  });

  test("malformed messages are refused or passed over", async () => {
    const web = await add("web");
    const query = queryFor("web");
    const code = async (bytes: Buffer, protocol: "udp" | "tcp"): Promise<unknown> =>
      exchange(web.file, bytes, { protocol }, 300).then(
        (answer) => decodeAnswer(answer).rcode,
        () => "nothing",
      );
    const twice = Buffer.from(query);
    twice.writeUInt16BE(2, 4);
    const update = Buffer.from(query);
    update.writeUInt16BE(5 << 11, 2);
    const answer = Buffer.from(query);
    answer.writeUInt16BE(0x8000, 2);
    for (const protocol of ["udp", "tcp"] as const) {
      expect(await code(query.subarray(0, 14), protocol)).toBe("FORMERR");
      expect(await code(twice, protocol)).toBe("FORMERR");
      expect(await code(update, protocol)).toBe("NOTIMP");
      expect(await code(answer, protocol)).toBe("nothing");
      expect(await code(Buffer.alloc(3), protocol)).toBe("nothing");
      expect(await lookUp(web.file, "web", { protocol })).toBe(web.address);
    }
  });

  test("connections that say nothing: only so many, and others' are not among them", async () => {
    const [bad, good] = [await add("bad"), await add("good")];
    const silent = Array.from({ length: 300 }, () => exchange(bad.file, Buffer.alloc(0), { protocol: "tcp" }, 1500).catch(() => undefined));
    expect(await lookUp(good.file, "good", { protocol: "tcp" })).toBe(good.address);
    expect(await lookUp(bad.file, "bad")).toBe(bad.address);
    await Promise.all(silent);
    expect(await lookUp(bad.file, "bad", { protocol: "tcp" })).toBe(bad.address);
  });
});

test.each([
  ["fails", `throw new Error("asked to fail")`],
  ["is stuck", "for (;;);"],
])(
  "a thread that %s is followed by one that knows all it knew",
  async (_, harm) => {
    await daemon.close();
    const [flag, program] = [path.join(topology.folder, "harm"), path.join(topology.folder, "harmed.cjs")];
    writeFileSync(
      program,
      `require(${JSON.stringify(dnsWorkerPath)});
     const { existsSync, rmSync } = require("node:fs");
     setInterval(() => { if (existsSync("${flag}")) { rmSync("${flag}"); ${harm}; } }, 5);`,
    );
    await open({ dnsWorkerPath: program });
    const [web, db, third] = [await add("web"), await add("db"), await add("third")];
    expect(await lookUp(web.file, "db")).toBe(db.address);
    writeFileSync(flag, "");
    await vi.waitFor(() => expect(existsSync(flag)).toBe(false), 2000);
    await daemon.networks.leave(third.id);
    await vi.waitFor(async () => expect(await exchange(web.file, queryFor("db"), {}, 200)).toBeTruthy(), 5000);
    expect(await lookUp(db.file, "web", { protocol: "tcp" })).toBe(web.address);
    const fourth = await add("fourth");
    expect(await lookUp(web.file, "fourth")).toBe(fourth.address);
  },
  30_000,
);

test("where there is no libnftables, by the nft program", async () => {
  await daemon.close();
  await open({ firewallWay: "program" });
  const [web, db] = [await add("web"), await add("db")];
  for (const protocol of ["udp", "tcp"] as const) expect(await lookUp(web.file, "db", { protocol })).toBe(db.address);
});

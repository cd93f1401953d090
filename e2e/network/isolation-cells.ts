import { NO, type Cell } from "./reach.ts";

/**
 * Every listener is asked by everybody:
 *
 *     front   dual stack            web 10.101.0.2 fd00:a::2, app 10.101.0.3 fd00:a::3
 *     back    dual stack, internal  app 10.102.0.2 fd00:b::2, db 10.102.0.3 fd00:b::3
 *     closed  dual stack, icc off   one 10.103.0.2 fd00:c::2, two 10.103.0.3 fd00:c::3
 *     bridge  IPv4                  old 172.17.0.2
 *
 * and the host with the neighbours of `topology.ts`.
 */

/** A client by its name, and the address it is seen with. */
type Seen = Record<string, string>;

/** Where a listener is asked, what it is called, and as whom it sees those that reach it. Nobody else does. */
type Listener = [protocol: "tcp" | "udp", address: string, port: number, name: string, seen: Seen];

/** Those that reach a port published on an address of the host, and as whom: themselves, but neighbours of the container as its gateway. */
const clients4 = {
  outside: "192.0.2.2",
  farther: "198.51.100.2",
  web: "10.101.0.2",
  app: "10.101.0.3",
  one: "10.103.0.2",
  two: "10.103.0.3",
  old: "172.17.0.2",
};
const clients6 = { outside: "fd00:2::2", farther: "fd00:3::2", web: "fd00:a::2", app: "fd00:a::3", one: "fd00:c::2", two: "fd00:c::3" };
const toFront4 = (host: string): Seen => ({ ...clients4, host, web: "10.101.0.1", app: "10.101.0.1" });
const toFront6 = (host: string): Seen => ({ ...clients6, host, web: "fd00:a::1", app: "fd00:a::1" });
const toClosed4 = (host: string): Seen => ({ ...clients4, host, one: "10.103.0.1", two: "10.103.0.1" });
const toClosed6 = (host: string): Seen => ({ ...clients6, host, one: "fd00:c::1", two: "fd00:c::1" });
const byProxy = (gateway: string): Seen => Object.fromEntries(["host", ...Object.keys(clients6)].map((name) => [name, gateway]));
/** Containers leave with the host's address. */
const outward = (address: string, names: string[]): Seen => Object.fromEntries(names.map((name) => [name, address]));

const listeners: Listener[] = [
  // Containers by their own addresses: the host, themselves, and their neighbours unless these are closed to each other.
  ["tcp", "10.101.0.2", 80, "web", { host: "10.101.0.1", web: "10.101.0.2", app: "10.101.0.3" }],
  ["tcp", "fd00:a::2", 80, "web", { host: "fd00:a::1", web: "fd00:a::2", app: "fd00:a::3" }],
  ["udp", "10.101.0.2", 53, "web", { host: "10.101.0.1", web: "10.101.0.2", app: "10.101.0.3" }],
  ["udp", "fd00:a::2", 53, "web", { host: "fd00:a::1", web: "fd00:a::2", app: "fd00:a::3" }],
  ["tcp", "10.101.0.3", 80, "app", { host: "10.101.0.1", web: "10.101.0.2", app: "10.101.0.3" }],
  ["tcp", "fd00:a::3", 80, "app", { host: "fd00:a::1", web: "fd00:a::2", app: "fd00:a::3" }],
  ["tcp", "10.102.0.2", 80, "app", { host: "10.102.0.1", app: "10.102.0.2", db: "10.102.0.3" }],
  ["tcp", "fd00:b::2", 80, "app", { host: "fd00:b::1", app: "fd00:b::2", db: "fd00:b::3" }],
  ["tcp", "10.102.0.3", 80, "db", { host: "10.102.0.1", app: "10.102.0.2", db: "10.102.0.3" }],
  ["tcp", "fd00:b::3", 80, "db", { host: "fd00:b::1", app: "fd00:b::2", db: "fd00:b::3" }],
  ["tcp", "10.103.0.2", 80, "one", { host: "10.103.0.1", one: "10.103.0.2" }],
  ["tcp", "fd00:c::2", 80, "one", { host: "fd00:c::1", one: "fd00:c::2" }],
  ["tcp", "10.103.0.3", 80, "two", { host: "10.103.0.1", two: "10.103.0.3" }],
  ["tcp", "fd00:c::3", 80, "two", { host: "fd00:c::1", two: "fd00:c::3" }],
  ["tcp", "172.17.0.2", 80, "old", { host: "172.17.0.1", old: "172.17.0.2" }],

  // Ports published on every address: everybody that has a way there.
  ["tcp", "192.0.2.1", 8080, "web", toFront4("192.0.2.1")],
  ["tcp", "198.51.100.1", 8080, "web", toFront4("198.51.100.1")],
  ["tcp", "fd00:2::1", 8080, "web", toFront6("fd00:2::1")],
  ["tcp", "fd00:3::1", 8080, "web", toFront6("fd00:3::1")],
  ["udp", "192.0.2.1", 8053, "web", toFront4("192.0.2.1")],
  ["udp", "fd00:2::1", 8053, "web", toFront6("fd00:2::1")],
  ["tcp", "127.0.0.1", 8080, "web", { host: "10.101.0.1" }],
  ["tcp", "::1", 8080, "web", { host: "fd00:a::1" }],
  ["udp", "127.0.0.1", 8053, "web", { host: "10.101.0.1" }],
  ["udp", "::1", 8053, "web", { host: "fd00:a::1" }],
  ["tcp", "192.0.2.1", 8090, "one", toClosed4("192.0.2.1")],
  ["tcp", "fd00:2::1", 8090, "one", toClosed6("fd00:2::1")],
  // One that has no IPv6 is served to IPv6 by a proxy.
  ["tcp", "192.0.2.1", 8070, "old", { ...clients4, host: "192.0.2.1", old: "172.17.0.1" }],
  ["tcp", "fd00:2::1", 8070, "old", byProxy("172.17.0.1")],
  ["udp", "fd00:2::1", 8071, "old", byProxy("172.17.0.1")],
  // An internal network publishes nothing.
  ["tcp", "192.0.2.1", 8060, "db", {}],
  ["tcp", "fd00:2::1", 8060, "db", {}],

  // Ports published on one address: there and nowhere else.
  ["tcp", "127.0.0.1", 8081, "web", { host: "10.101.0.1" }],
  ["tcp", "192.0.2.1", 8081, "web", {}],
  ["tcp", "10.101.0.1", 8081, "web", {}],
  ["tcp", "192.0.2.1", 8082, "web", toFront4("192.0.2.1")],
  ["tcp", "198.51.100.1", 8082, "web", {}],
  ["tcp", "127.0.0.1", 8082, "web", {}],
  ["tcp", "fd00:2::1", 8083, "web", toFront6("fd00:2::1")],
  ["tcp", "fd00:3::1", 8083, "web", {}],
  ["tcp", "::1", 8083, "web", {}],
  ["tcp", "::1", 8084, "web", { host: "fd00:a::1" }],
  ["tcp", "fd00:2::1", 8084, "web", {}],

  // The world: all but those on an internal network, with the host's address. The host forwards nothing for the neighbours.
  ["tcp", "192.0.2.2", 80, "outside", { ...outward("192.0.2.1", ["host", "web", "app", "one", "two", "old"]), outside: "192.0.2.2" }],
  ["tcp", "fd00:2::2", 80, "outside", { ...outward("fd00:2::1", ["host", "web", "app", "one", "two"]), outside: "fd00:2::2" }],
  [
    "tcp",
    "198.51.100.2",
    80,
    "farther",
    { ...outward("198.51.100.1", ["host", "web", "app", "one", "two", "old"]), farther: "198.51.100.2" },
  ],
  ["tcp", "fd00:3::2", 80, "farther", { ...outward("fd00:3::1", ["host", "web", "app", "one", "two"]), farther: "fd00:3::2" }],

  // The host's own services: what it offers to all, by its outer addresses and by gateways, but not what is for itself.
  ["tcp", "192.0.2.1", 9001, "host", { ...clients4, host: "192.0.2.1" }],
  ["tcp", "fd00:2::1", 9001, "host", { ...clients6, host: "fd00:2::1" }],
  [
    "tcp",
    "10.101.0.1",
    9001,
    "host",
    { host: "10.101.0.1", web: "10.101.0.2", app: "10.101.0.3", one: "10.103.0.2", two: "10.103.0.3", old: "172.17.0.2" },
  ],
  [
    "tcp",
    "fd00:b::1",
    9001,
    "host",
    { host: "fd00:b::1", web: "fd00:a::2", app: "fd00:b::2", db: "fd00:b::3", one: "fd00:c::2", two: "fd00:c::3" },
  ],
  ["tcp", "127.0.0.1", 9000, "host", { host: "127.0.0.1" }],
  ["tcp", "::1", 9000, "host", { host: "::1" }],
];

const everybody = ["host", "outside", "farther", "web", "app", "db", "one", "two", "old"];
export const cells = listeners.flatMap(([protocol, address, port, name, seen]) =>
  everybody.map((who): Cell => [who, protocol, address, port, who in seen ? `${name} ${seen[who]}` : NO]),
);

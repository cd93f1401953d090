import { formatIp } from "../prefixes.ts";
import { foldName, type NamedEndpoint, type NameTable } from "./names.ts";

/**
 * What a container is answered, by moby's rules (libnetwork, Resolver and Sandbox.ResolveName). Pure.
 *
 * A container finds those on its own networks, by their names there and by names that it alone has for them (`--link`); `name.network` says
 * on which. What is not known there is asked of others, unless the container has no way outside: its question would be one.
 */
export interface DnsView {
  /** The networks whose containers it finds, in the order of its links. */
  networks: ViewedNetwork[];
  /** Whom to ask what is not known here. */
  upstreams: Upstream[];
  /** False where all its networks are internal. */
  forwards: boolean;
  /** Names without a dot are completed by the container first (`--dns-option ndots:1`); unknown, they are nobody's. */
  keepsSingleLabels: boolean;
}

export interface ViewedNetwork {
  id: string;
  name: string;
  /** Its own names for others: the alias, folded, and the name that it stands for. */
  links: Record<string, string>;
}

export interface Upstream {
  address: string;
  /** Asked from the host's namespace and not from the container's. */
  fromHost: boolean;
}

export interface DnsQuestion {
  name: string;
  type: string;
  class: string;
}

export interface DnsRecord {
  name: string;
  type: "A" | "AAAA" | "PTR";
  ttl: number;
  data: string;
}

export type Resolution =
  | { kind: "answer"; records: DnsRecord[] }
  | { kind: "forward" }
  /** Nobody is asked: SERVFAIL. */
  | { kind: "fail" };

/** How long an answer may be remembered, in seconds: as Docker says. */
const TTL_SECONDS = 600;

export function resolve(question: DnsQuestion, view: DnsView, table: NameTable): Resolution {
  const records = question.class === "IN" ? lookUp(question, view, table) : undefined;
  if (records !== undefined) return { kind: "answer", records };
  if (!view.forwards) return { kind: "fail" };
  const isAddress = question.type === "A" || question.type === "AAAA";
  if (isAddress && view.keepsSingleLabels && !foldName(question.name).includes(".")) return { kind: "answer", records: [] };
  return { kind: "forward" };
}

/** Undefined: not known here. Empty: known, and it has nothing of that type. */
function lookUp({ name, type }: DnsQuestion, view: DnsView, table: NameTable): DnsRecord[] | undefined {
  switch (type) {
    case "A":
      return addressRecords(name, type, (endpoint) => endpoint.ipv4Address, view, table);
    case "AAAA":
      return addressRecords(name, type, (endpoint) => endpoint.ipv6Address, view, table);
    case "MX":
      // Mail goes to the address then (RFC 5321, 5.1).
      return findByName(name, view, table).length > 0 ? [] : undefined;
    case "PTR":
      return pointerRecords(name, view, table);
    default:
      return undefined;
  }
}

function addressRecords(
  name: string,
  type: "A" | "AAAA",
  addressOf: (endpoint: NamedEndpoint) => string,
  view: DnsView,
  table: NameTable,
): DnsRecord[] | undefined {
  const found = findByName(name, view, table);
  if (found.length === 0) return undefined;
  // One network's: a container on two of them is not answered twice.
  const addresses = found.map((endpoints) => endpoints.map(addressOf).filter((address) => address !== "")).find(({ length }) => length > 0);
  return shuffle(addresses ?? []).map((data) => ({ name, type, ttl: TTL_SECONDS, data }));
}

/** Those that have a name, network by network: of `a.b.c` first `a.b.c` on any, then `a.b` on network `c`, then `a` on `b.c`. */
function findByName(asked: string, view: DnsView, table: NameTable): NamedEndpoint[][] {
  const name = foldName(asked);
  for (let dot = name.length; dot > 0; dot = name.lastIndexOf(".", dot - 1)) {
    const [host, networkName] = [name.slice(0, dot), name.slice(dot + 1)];
    const networks = networkName === "" ? view.networks : view.networks.filter((network) => foldName(network.name) === networkName);
    const linked = networks.filter(({ links }) => Object.hasOwn(links, host));
    const others = networks.filter((network) => !linked.includes(network));
    const found = [
      ...linked.map(({ id, links }) => table.find(id, foldName(links[host] ?? ""))),
      ...others.map(({ id }) => table.find(id, host)),
    ].filter(({ length }) => length > 0);
    if (found.length > 0) return found;
  }
  return [];
}

function pointerRecords(name: string, view: DnsView, table: NameTable): DnsRecord[] | undefined {
  const address = reverseAddress(foldName(name));
  if (address === undefined) return undefined;
  for (const network of view.networks) {
    const host = table.nameOf(network.id, address);
    if (host === undefined) continue;
    const data = `${host}.${network.name}`;
    // Docker's names may be longer than any in DNS.
    return isDomainName(data) ? [{ name, type: "PTR", ttl: TTL_SECONDS, data }] : [];
  }
  return undefined;
}

/** The address that `2.0.18.172.in-addr.arpa` or its like asks about. */
function reverseAddress(name: string): string | undefined {
  const labels = name.split(".").toReversed();
  const [arpa, kind, ...digits] = labels;
  if (arpa !== "arpa") return undefined;
  if (kind === "in-addr") return digits.length === 4 ? digits.join(".") : undefined;
  if (kind !== "ip6" || digits.length !== 32 || !digits.every((digit) => /^[0-9a-f]$/.test(digit))) return undefined;
  return formatIp({ family: 6, value: BigInt(`0x${digits.join("")}`) });
}

function isDomainName(name: string): boolean {
  return name.length <= 253 && name.split(".").every((label) => label.length > 0 && Buffer.byteLength(label) <= 63);
}

function shuffle(addresses: string[]): string[] {
  for (let last = addresses.length - 1; last > 0; last -= 1) {
    const other = Math.floor(Math.random() * (last + 1));
    [addresses[last], addresses[other]] = [addresses[other] ?? "", addresses[last] ?? ""];
  }
  return addresses;
}

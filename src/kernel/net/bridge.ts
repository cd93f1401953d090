import { closeSync } from "node:fs";
import { isIP, isIPv6 } from "node:net";

import { EngineError } from "../../base/errors.ts";
import { failpoint } from "../../base/failpoint.ts";
import { libc, SystemCallError } from "../ffi.ts";
import { addressBytes } from "./ip-text.ts";
import {
  createBridge,
  createVeth,
  decodeLink,
  deleteLink,
  filterBridge,
  getLink,
  LINK_PREFIX,
  raiseBridge,
  raiseLink,
  raisePort,
  setMtu,
} from "./links.ts";
import { ignoring, NETLINK_ROUTE, openNetlinkSocket, type NetlinkSocket } from "./netlink-socket.ts";
import { inNamespace, openNamespace } from "./netns.ts";
import {
  addAddress,
  decodeAddress,
  deleteAddress,
  deleteDefaultRoute,
  dumpIpv4Addresses,
  dumpIpv6Addresses,
  setDefaultRoute,
} from "./routes.ts";
import { ensureSetting, writeSetting } from "./settings.ts";

/** A bridge and its ports: how containers come onto it. */
export interface BridgeSpec {
  name: string;
  /** Its own. One of IPv4 is not given to a bridge that has one already. */
  addresses: readonly InterfaceAddress[];
  macAddress: string;
  mtu: number | undefined;
  /** Its containers reach each other only where the firewall makes an exception. */
  closed: boolean;
}

export interface InterfaceAddress {
  address: string;
  prefixLength: number;
}

export interface BridgeFound {
  index: number;
  /** Its first IPv4 address, if it has one. */
  address: string | undefined;
  prefixLength: number;
  mtu: number;
}

export interface ConnectSpec {
  namespaceFile: string;
  bridge: string;
  hostLink: string;
  containerLink: string;
  macAddress: string;
  /** Without one of IPv6 the link has no IPv6 at all. Where there is a gateway, the default route goes by it. */
  addresses: readonly (InterfaceAddress & { gateway: string | undefined })[];
  mtu: number | undefined;
  /** Its bridge is closed. */
  closed: boolean;
}

/**
 * How packets from one port of a closed bridge to another get to the firewall's rules: by br_netfilter, or where that is not loaded by
 * isolating ports, which then reach each other by way of the host only. Both together would lose what one container sends to a published
 * port of another: br_netfilter rewrites it and gives it back to the bridge.
 */
export type ClosedBy = "filter" | "isolation";

/** A gateway, and the link inside the namespace that it is behind. */
export interface DefaultRoute {
  link: string;
  gateway: string;
}

/**
 * The kernel asks from it who has the address of a packet that it forwards; without one it does not ask at all. We generate none, since
 * bridges may share a MAC address; Docker gives its bridges the same one.
 */
const LINK_LOCAL: InterfaceAddress = { address: "fe80::1", prefixLength: 64 };

const nameToIndex = libc("unsigned int if_nametoindex(const char *name)");

/** The bridge is there, is up, has an address and forwards. An existing one keeps the address it has. */
export function ensureBridge(routes: NetlinkSocket, spec: BridgeSpec, closedBy: ClosedBy): void {
  let found = findBridge(routes, spec.name);
  if (found === undefined) {
    routes.transact([createBridge(spec)]);
    failpoint("network.bridge.created");
    found = findBridge(routes, spec.name);
  }
  if (found === undefined) throw new EngineError("system", `making bridge ${spec.name}: it was removed again by somebody else`);
  if (spec.mtu !== undefined && found.mtu !== spec.mtu) routes.transact([setMtu(spec.name, spec.mtu)]);
  ensureSetting(`ipv4/conf/${spec.name}/forwarding`, "1");
  // Lets 127.0.0.1:PORT be rewritten to a container's address; the rules' `guard` chain keeps containers off the host's 127.0.0.1.
  ensureSetting(`ipv4/conf/${spec.name}/route_localnet`, "1");
  ensureSetting(`ipv6/conf/${spec.name}/accept_ra`, "0");
  const isIsolated = spec.closed && closedBy === "isolation";
  // Isolated containers find each other's addresses at the host.
  ensureSetting(`ipv4/conf/${spec.name}/proxy_arp_pvlan`, isIsolated ? "1" : "0");
  if (spec.closed && closedBy === "filter") routes.transact([filterBridge(spec.name)]);
  if (spec.addresses.some(isOfIpv6)) {
    ensureSetting(`ipv6/conf/${spec.name}/disable_ipv6`, "0");
    ensureSetting(`ipv6/conf/${spec.name}/force_forwarding`, "1");
  }
  const { index, address: ipv4Address } = found;
  const given = [
    ...spec.addresses.filter((each) => isOfIpv6(each) || ipv4Address === undefined),
    ...(spec.addresses.some(isOfIpv6) ? [LINK_LOCAL] : []),
  ];
  routes.transact([
    ...staleAddresses(routes, spec, index).map(({ address, prefixLength }) => {
      return deleteAddress(index, addressBytes(address), prefixLength, `taking ${address} from ${spec.name}`);
    }),
    ...given.map(({ address, prefixLength }) => {
      return addAddress(index, addressBytes(address), prefixLength, `giving ${spec.name} its address ${address}`);
    }),
    raiseBridge(spec.name),
  ]);
}

/** IPv6 addresses that a bridge of our own has from other settings: another network may have their subnet now. */
function staleAddresses(routes: NetlinkSocket, spec: BridgeSpec, index: number): InterfaceAddress[] {
  if (!spec.name.startsWith(LINK_PREFIX)) return [];
  const wanted = new Set([LINK_LOCAL, ...spec.addresses].map(({ address }) => address));
  return routes
    .query(dumpIpv6Addresses)
    .map(decodeAddress)
    .filter(({ linkIndex, address }) => linkIndex === index && isIPv6(address) && !wanted.has(address));
}

export function findBridge(routes: NetlinkSocket, name: string): BridgeFound | undefined {
  let answer;
  try {
    answer = routes.query(getLink(name));
  } catch (error) {
    if (error instanceof SystemCallError && error.code === "ENODEV") return undefined;
    throw error;
  }
  const [link] = answer.map(decodeLink);
  if (link === undefined) return undefined;
  if (link.kind !== "bridge")
    throw new EngineError("conflict", `using ${name} as a bridge: it is a network link of another kind: choose another --bridge`);
  const address = routes
    .query(dumpIpv4Addresses)
    .map(decodeAddress)
    .find((candidate) => candidate.linkIndex === link.index);
  return { index: link.index, address: address?.address, prefixLength: address?.prefixLength ?? 0, mtu: link.mtu };
}

/** Gives a namespace a link on the bridge, with addresses and default routes. Leaves no link behind when it throws. */
export function connectToBridge(routes: NetlinkSocket, spec: ConnectSpec, closedBy: ClosedBy): void {
  const bridgeIndex = Number(nameToIndex(spec.bridge));
  if (bridgeIndex === 0)
    throw new EngineError("system", `connecting to bridge ${spec.bridge}: it does not exist: restart the daemon to make it again`);
  const namespaceFd = openNamespace(spec.namespaceFile);
  try {
    const peer = { name: spec.containerLink, macAddress: spec.macAddress, namespaceFd };
    routes.transact([
      createVeth({ name: spec.hostLink, bridgeIndex, mtu: spec.mtu, peer }),
      raisePort(spec.hostLink, spec.closed && closedBy === "isolation"),
    ]);
    try {
      failpoint("network.connect.linked");
      configureInside(namespaceFd, spec);
    } catch (error) {
      routes.transact([deleteLink(spec.hostLink)]);
      throw error;
    }
  } finally {
    closeSync(namespaceFd);
  }
}

function configureInside(namespaceFd: number, spec: ConnectSpec): void {
  const { socket, index } = inNamespace(namespaceFd, () => {
    if (spec.addresses.some(isOfIpv6)) writeSetting(`ipv6/conf/${spec.containerLink}/disable_ipv6`, "0");
    return { socket: openNetlinkSocket(NETLINK_ROUTE), index: Number(nameToIndex(spec.containerLink)) };
  });
  try {
    const what = `of container link ${spec.containerLink}`;
    socket.transact([
      ...spec.addresses.map(({ address, prefixLength }) => {
        return addAddress(index, addressBytes(address), prefixLength, `setting the address ${address} ${what}`);
      }),
      raiseLink(spec.containerLink),
      ...spec.addresses.flatMap(({ gateway }) =>
        gateway === undefined ? [] : [setDefaultRoute(index, addressBytes(gateway), `setting the default route ${what}`)],
      ),
    ]);
  } finally {
    socket.close();
  }
}

function isOfIpv6({ address }: InterfaceAddress): boolean {
  return isIPv6(address);
}

/** The namespace has these default routes, at most one of each family, and no others. */
export function setDefaultRoutes(namespaceFile: string, wanted: readonly DefaultRoute[]): void {
  const namespaceFd = openNamespace(namespaceFile);
  try {
    const { socket, requests } = inNamespace(namespaceFd, () => ({
      socket: openNetlinkSocket(NETLINK_ROUTE),
      requests: wanted.map(({ link, gateway }) =>
        setDefaultRoute(Number(nameToIndex(link)), addressBytes(gateway), `setting the default route by ${link}`),
      ),
    }));
    try {
      if (requests.length > 0) socket.transact(requests);
      for (const family of [4, 6] as const) {
        if (wanted.some(({ gateway }) => isIP(gateway) === family)) continue;
        // ENOENT: no IPv6 at all.
        ignoring(["ESRCH", "ENOENT"], () => socket.transact([deleteDefaultRoute(family)]));
      }
    } finally {
      socket.close();
    }
  } finally {
    closeSync(namespaceFd);
  }
}

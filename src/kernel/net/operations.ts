import { SystemCallError } from "../ffi.ts";
import {
  connectToBridge,
  ensureBridge,
  findBridge,
  setDefaultRoutes,
  type BridgeFound,
  type BridgeSpec,
  type ClosedBy,
  type ConnectSpec,
  type DefaultRoute,
} from "./bridge.ts";
import { forgetConnectionsOfPort, PROTOCOL_NUMBERS } from "./conntrack.ts";
import { Firewall, type FirewallChange, type FirewallElement, type FirewallSettings } from "./firewall.ts";
import { passForeignDrop, removeOwnChain, type OwnChain } from "./foreign-drop.ts";
import { ensureForwarding, removeForwarding, type Ipv6Forwarding } from "./forwarding.ts";
import {
  decodeLink,
  deleteLink,
  disablePort,
  dumpLinks,
  enslaveLink,
  getLink,
  LINK_GROUP,
  LINK_PREFIX,
  raiseLink,
  raisePort,
} from "./links.ts";
import { ignoring, NETLINK_NETFILTER, NETLINK_ROUTE, openNetlinkSocket, type NetlinkSocket } from "./netlink-socket.ts";
import { openNameSockets, type NameSockets } from "./name-sockets.ts";
import { keepLowDescriptors } from "./low-descriptors.ts";
import { createNamespace, listNamespaces, removeNamespace } from "./netns.ts";
import type { RunProgram } from "./nftables.ts";
import { decodeAddress, decodeRoute, dumpIpv4Addresses, dumpIpv4Routes, dumpIpv6Addresses, dumpIpv6Routes } from "./routes.ts";
import { readSetting, writeSetting } from "./settings.ts";

/**
 * What the kernel worker thread does: namespaces, links, the firewall and connection tracking, in the network namespace the daemon was
 * started in. Operations run one after another and each is synchronous. One that throws has taken back what it made; those named ensure or
 * remove are idempotent.
 */
export interface Operations {
  /** Networks of the host's addresses and routes, with the link each is on: what a network of ours must not clash with. */
  hostNetworks(): { network: string; link: string }[];
  findBridge(name: string): BridgeFound | undefined;
  ensureBridge(spec: BridgeSpec): void;
  removeLink(name: string): void;
  /** A namespace for a container, kept at `file`, with nothing but `lo`, which is up. */
  createNamespace(file: string): void;
  removeNamespace(file: string): void;
  /** Gives a namespace a link on a bridge. */
  connect(spec: ConnectSpec): void;
  /** Gives a namespace these default routes and takes all others away. */
  setDefaultRoutes(namespaceFile: string, wanted: readonly DefaultRoute[]): void;
  /**
   * Opens the sockets of a container's name server in its namespace, where an earlier daemon had them if it did, and lets packets reach
   * them. The caller owns the descriptors.
   */
  openNameSockets(namespaceFile: string): NameSockets;
  /** Takes a port out of its bridge's traffic at once; the link itself dies with its namespace. */
  disablePort(link: string): void;
  /** Attaches a port again whose bridge was made anew. False: there is no such link. */
  reattach(link: string, bridge: string, closed: boolean): boolean;
  /** `without`: what of the kernel is not used although it is there; for tests. */
  openFirewall(settings: FirewallSettings, without?: readonly KernelFeature[]): { by: "libnftables" | "nft"; owned: boolean };
  changeFirewall(change: FirewallChange): void;
  /**
   * Keeps the host as we need it, to be called every second and cheap while nothing happens: puts back what others took from our table
   * (`healed`), lets our packets pass others' policies (`blocking`: those it cannot), switches forwarding on for links that came up, and
   * tells which of our bridges are gone.
   */
  watchHost(anew?: boolean): { healed: boolean; blocking: string[]; lostBridges: string[] };
  removeFirewall(): void;
  /** Forgets tracked connections of published ports. */
  forgetConnections(ports: readonly ForgottenPort[]): void;
  listObjects(netnsFolder: string, bridges: string[]): ObjectsFound;
}

/** What not every kernel has: a switch for the IPv6 forwarding of one link (6.17), the module that sends bridged packets to the rules. */
export type KernelFeature = "force_forwarding" | "br_netfilter";

export interface ForgottenPort {
  family: 4 | 6;
  port: number;
  protocol: "tcp" | "udp" | "sctp";
}

/** What is there now, for restore and the doctor. */
export interface ObjectsFound {
  namespaces: { name: string; mounted: boolean }[];
  ports: { link: string; bridge: string }[];
  bridges: string[];
  elements: FirewallElement[];
}

/** Settings of a new namespace, written before it has links, so that they hold for the links to come. */
const NAMESPACE_SETTINGS: readonly (readonly [string, string])[] = [
  // As Docker has them since 20.10: any user may open low ports and ping.
  ["ipv4/ip_unprivileged_port_start", "0"],
  ["ipv4/ping_group_range", "0 2147483647"],
  // Neighbours learn at once who has an address now: one gratuitous ARP, one unsolicited NA.
  ["ipv4/conf/all/arp_notify", "1"],
  ["ipv6/conf/all/ndisc_notify", "1"],
  ["ipv6/conf/default/ndisc_notify", "1"],
  ["ipv6/conf/all/accept_ra", "0"],
  ["ipv6/conf/default/accept_ra", "0"],
  ["ipv6/conf/default/accept_dad", "0"],
  ["ipv6/conf/default/router_solicitations", "0"],
  // Not for `lo`, which exists already: ::1 stays, as Docker has it since 26.0.
  ["ipv6/conf/default/disable_ipv6", "1"],
];

export function openOperations(runProgram: RunProgram): Operations & { close(): void } {
  keepLowDescriptors();
  const routes = openNetlinkSocket(NETLINK_ROUTE);
  const linkNews = openNetlinkSocket(NETLINK_ROUTE, LINK_GROUP);
  let table = "";
  let connections: NetlinkSocket | undefined;
  let firewall: Firewall | undefined;
  let without: readonly KernelFeature[] = [];
  const ipv6Forwarding = (): Ipv6Forwarding =>
    without.includes("force_forwarding") || readSetting("ipv6/conf/default/force_forwarding") === undefined ? "host" : "links";
  const closedBy = (): ClosedBy =>
    without.includes("br_netfilter") || readSetting("bridge/bridge-nf-call-iptables") === undefined ? "isolation" : "filter";

  return {
    hostNetworks: () => hostNetworks(routes),
    findBridge: (name) => findBridge(routes, name),
    ensureBridge: (spec) => ensureBridge(routes, spec, closedBy()),
    removeLink: (name) => ignoring(["ENODEV"], () => routes.transact([deleteLink(name)])),
    createNamespace: (file) => createNamespace(file, prepareNamespace),
    removeNamespace,
    connect: (spec) => connectToBridge(routes, spec, closedBy()),
    setDefaultRoutes,
    openNameSockets,
    disablePort: (link) => ignoring(["ENODEV", "EOPNOTSUPP"], () => routes.transact([disablePort(link)])),
    reattach(link, bridge, closed) {
      const found = findBridge(routes, bridge);
      try {
        const [port] = routes.query(getLink(link)).map(decodeLink);
        if (found === undefined) return true;
        const attach = port?.master === found.index ? [] : [enslaveLink(link, found.index)];
        routes.transact([...attach, raisePort(link, closed && closedBy() === "isolation")]);
        return true;
      } catch (error) {
        if (error instanceof SystemCallError && error.code === "ENODEV") return false;
        throw error;
      }
    },
    openFirewall(settings, unused = []) {
      without = unused;
      firewall?.close();
      firewall = undefined;
      firewall = new Firewall(settings, runProgram);
      table = settings.table;
      return { by: firewall.by, owned: firewall.owned };
    },
    changeFirewall(change) {
      if (firewall === undefined) throw new Error("the firewall is not open");
      firewall.change(change);
      if (change.add.some(({ set }) => set === "bridges")) ensureForwarding(routes, firewall, ipv6Forwarding());
    },
    watchHost(anew = false) {
      if (firewall === undefined) return { healed: false, blocking: [], lostBridges: [] };
      const changed = firewall.changedByOthers();
      const healed = changed && firewall.heal();
      const blocking = changed || anew ? passForeignDrop(firewall.nftables, runProgram, ownChain(table, firewall), table) : [];
      const { messages, lost } = linkNews.drain();
      const linksChanged = lost || anew || messages.length > 0;
      if (linksChanged) ensureForwarding(routes, firewall, ipv6Forwarding());
      const lostBridges = linksChanged ? firewall.keysOf("bridges").filter((bridge) => findBridge(routes, bridge) === undefined) : [];
      return { healed, blocking, lostBridges };
    },
    removeFirewall() {
      if (firewall) {
        removeForwarding(firewall);
        removeOwnChain(firewall.nftables, runProgram, ownChain(table, firewall));
      }
      firewall?.remove();
      firewall?.close();
      firewall = undefined;
    },
    forgetConnections(ports) {
      connections ??= openNetlinkSocket(NETLINK_NETFILTER);
      for (const { family, port, protocol } of ports) {
        const request = forgetConnectionsOfPort(family, port, PROTOCOL_NUMBERS[protocol]);
        // ENOENT: nothing was tracked. Kernels before 5.8 know no filter: there the entries run out by themselves.
        ignoring(["ENOENT", "EINVAL", "EOPNOTSUPP"], () => connections?.transact([request]));
      }
    },
    listObjects(netnsFolder, bridges) {
      const links = routes.query(dumpLinks).map(decodeLink);
      const byIndex = new Map(links.filter((link) => bridges.includes(link.name)).map((link) => [link.index, link.name]));
      const ports = links.flatMap((link) => {
        const bridge = byIndex.get(link.master);
        return bridge === undefined ? [] : [{ link: link.name, bridge }];
      });
      return { namespaces: listNamespaces(netnsFolder), ports, bridges: [...byIndex.values()], elements: firewall?.listElements() ?? [] };
    },
    close() {
      firewall?.close();
      connections?.close();
      linkNews.close();
      routes.close();
    },
  };
}

function ownChain(table: string, firewall: Firewall): OwnChain {
  const named = firewall.keysOf("bridges").filter((bridge) => !bridge.startsWith(LINK_PREFIX));
  return { name: table.toUpperCase(), links: [`${LINK_PREFIX}*`, ...named] };
}

function prepareNamespace(): void {
  for (const [name, value] of NAMESPACE_SETTINGS) writeSetting(name, value);
  const inside = openNetlinkSocket(NETLINK_ROUTE);
  try {
    inside.transact([raiseLink("lo")]);
  } finally {
    inside.close();
  }
}

function hostNetworks(routes: NetlinkSocket): { network: string; link: string }[] {
  const names = new Map(
    routes
      .query(dumpLinks)
      .map(decodeLink)
      .map((link) => [link.index, link.name]),
  );
  const addresses = [dumpIpv4Addresses, dumpIpv6Addresses].flatMap((dump) => routes.query(dump)).map(decodeAddress);
  const destinations = [dumpIpv4Routes, dumpIpv6Routes]
    .flatMap((dump) => routes.query(dump))
    .map(decodeRoute)
    .filter((route) => route.prefixLength > 0);
  return [
    ...addresses.map((each) => ({ network: `${each.address}/${each.prefixLength}`, link: names.get(each.linkIndex) ?? "" })),
    ...destinations.map((each) => ({ network: `${each.destination}/${each.prefixLength}`, link: names.get(each.linkIndex) ?? "" })),
  ];
}

import type { Firewall } from "./firewall.ts";
import { decodeLink, dumpLinks, LINK_PREFIX } from "./links.ts";
import type { NetlinkSocket } from "./netlink-socket.ts";
import { ensureSetting, readSetting, writeSetting } from "./settings.ts";

/**
 * IP forwarding without making the host a router. What a container sends comes in on its bridge, what it is answered comes in on some
 * link of the host, and the kernel forwards only what comes in on a link that has forwarding on. So we switch it on for those links,
 * one by one, and name them in the sets `uplinks` and `uplinks6`: the rules drop what would be forwarded from one of them to another.
 * Where the host forwards anyway there is nothing to switch and nothing to drop.
 *
 * IPv6 has a switch for single links since Linux 6.17 only. Older kernels have one for the whole host; where we turned that one,
 * `closed` holds "ipv6" and the rules drop everything that neither comes from nor goes to a bridge of ours.
 */
export type Ipv6Forwarding = "links" | "host";

export function ensureForwarding(routes: NetlinkSocket, firewall: Firewall, ipv6: Ipv6Forwarding): void {
  const bridges = new Set(firewall.keysOf("bridges"));
  // A port of a bridge does no IP of its own; bridges of other daemons are theirs to switch.
  const links = routes
    .query(dumpLinks)
    .map(decodeLink)
    .filter((link) => !link.loopback && link.master === 0 && !bridges.has(link.name) && !link.name.startsWith(LINK_PREFIX))
    .map((link) => link.name);
  if (readSetting("ipv4/ip_forward") === "1") leave(firewall, "uplinks");
  else switchLinks(firewall, "uplinks", links, forwardingOf);

  if (firewall.keysOf("nets6").length === 0) return;
  const closed = firewall.keysOf("closed").length > 0;
  if (readSetting("ipv6/conf/all/forwarding") === "1" && !closed) leave(firewall, "uplinks6");
  else if (ipv6 === "links" && !closed) switchLinks(firewall, "uplinks6", links, ipv6ForwardingOf);
  else switchHost(firewall, links);
}

/** The host forwards as little as before. */
export function removeForwarding(firewall: Firewall): void {
  for (const link of firewall.keysOf("uplinks")) writeSetting(forwardingOf(link), "0");
  for (const link of firewall.keysOf("uplinks6")) writeSetting(ipv6ForwardingOf(link), "0");
  if (firewall.keysOf("closed").length > 0) writeSetting("ipv6/conf/all/forwarding", "0");
}

const forwardingOf = (link: string): string => `ipv4/conf/${link}/forwarding`;
const ipv6ForwardingOf = (link: string): string => `ipv6/conf/${link}/force_forwarding`;

/** The host forwards by somebody else's will. */
function leave(firewall: Firewall, set: string): void {
  const switched = firewall.keysOf(set);
  if (switched.length > 0) firewall.change({ add: [], remove: switched.map((link) => element(set, link)) });
}

function switchLinks(firewall: Firewall, set: string, links: string[], setting: (link: string) => string): void {
  for (const link of links) {
    if (readSetting(setting(link)) !== "0") continue;
    // The rule first: the host must not forward between two of them even for a moment.
    firewall.change({ add: [element(set, link)], remove: [] });
    writeSetting(setting(link), "1");
  }
}

function switchHost(firewall: Firewall, links: string[]): void {
  // A host that forwards takes no router's word for its own routes and addresses, unless it is told to even so.
  for (const link of links) if (readSetting(`ipv6/conf/${link}/accept_ra`) === "1") writeSetting(`ipv6/conf/${link}/accept_ra`, "2");
  firewall.change({ add: [element("closed", "ipv6")], remove: [] });
  ensureSetting("ipv6/conf/all/forwarding", "1");
}

const element = (set: string, key: string): { set: string; key: string } => ({ set, key: `"${key}"` });

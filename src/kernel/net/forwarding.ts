import type { Firewall } from "./firewall.ts";
import { decodeLink, dumpLinks } from "./links.ts";
import type { NetlinkSocket } from "./netlink-socket.ts";
import { readSetting, writeSetting } from "./settings.ts";

/**
 * IP forwarding without making the host a router. What a container sends comes in on its bridge, what it is answered comes in on some
 * link of the host, and the kernel forwards only what comes in on a link that has forwarding on. So we switch it on for those links,
 * one by one, and name them in the set `uplinks`: the rules drop what would be forwarded from one of them to another. Where the host
 * forwards anyway (`ip_forward` is 1) there is nothing to switch and nothing to drop.
 */
export function ensureForwarding(routes: NetlinkSocket, firewall: Firewall): void {
  const switched = firewall.keysOf("uplinks");
  if (readSetting("ipv4/ip_forward") === "1") {
    if (switched.length > 0) firewall.change({ add: [], remove: switched.map(element) });
    return;
  }
  const bridges = new Set(firewall.keysOf("bridges"));
  // A port of a bridge does no IP of its own.
  const links = routes
    .query(dumpLinks)
    .map(decodeLink)
    .filter((link) => !link.loopback && link.master === 0 && !bridges.has(link.name));
  for (const { name } of links) {
    if (readSetting(`ipv4/conf/${name}/forwarding`) !== "0") continue;
    // The rule first: the host must not forward between two of them even for a moment.
    firewall.change({ add: [element(name)], remove: [] });
    writeSetting(`ipv4/conf/${name}/forwarding`, "1");
  }
}

const element = (link: string): { set: string; key: string } => ({ set: "uplinks", key: `"${link}"` });

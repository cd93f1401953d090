import { isIPv6 } from "node:net";

import type { FirewallElement } from "../../kernel/net/firewall.ts";
import type { Endpoint } from "./networks.ts";
import type { NetworkRecord } from "./network-records.ts";
import { isForwarded, type Addresses } from "./published-ports.ts";

/**
 * The rules of the firewall and the elements that networks and published ports put into its sets: pure text.
 *
 * Rules are the same for every daemon and never change while it runs. A network is a handful of elements, a published port is one. The
 * packet matrix in `e2e/network-packets.e2e.ts` shows what each rule is for: without them two thirds of its checks fail.
 */
export const DECLARATIONS: readonly string[] = [
  "set bridges { type ifname; }", //                                       all our bridges
  "set same { type ifname . ifname; }", //                                 bridge . bridge: containers on it reach each other
  "set internal { type ifname; }", //                                      networks without an outside
  "set nets4 { type ifname . ipv4_addr; flags interval; }", //             bridge . subnet
  "set nets6 { type ifname . ipv6_addr; flags interval; }",
  "set subnets4 { type ipv4_addr; flags interval; }", //                   closed to direct access from outside
  "set subnets6 { type ipv6_addr; flags interval; }",
  "set free4 { type ipv4_addr; flags interval; }", //                      open to direct access from outside
  "set free6 { type ipv6_addr; flags interval; }",
  "set masq4 { type ipv4_addr; flags interval; }", //                      leave with the host's address
  "set masq6 { type ipv6_addr; flags interval; }",
  "set uplinks { type ifname; }", //                                       links that forward only for our sake
  "set uplinks6 { type ifname; }",
  "set closed { type nf_proto; }", //                                      families in which the host forwards only for our sake
  "map port4 { type ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service; }", //  published on one address
  "map port4any { type inet_proto . inet_service : ipv4_addr . inet_service; }", //           on all
  "map port6 { type ipv6_addr . inet_proto . inet_service : ipv6_addr . inet_service; }",
  "map port6any { type inet_proto . inet_service : ipv6_addr . inet_service; }",
  "set links4 { type ipv4_addr . ipv4_addr . inet_proto . inet_service; }", //                exceptions where `same` is off
  "chain guard { type filter hook prerouting priority -300; policy accept; }",
  "chain publish",
  "chain prerouting { type nat hook prerouting priority -100; policy accept; }",
  "chain output { type nat hook output priority -100; policy accept; }",
  "chain postrouting { type nat hook postrouting priority 100; policy accept; }",
  "chain forward { type filter hook forward priority 0; policy accept; }",
];

export const RULES: readonly string[] = [
  // route_localnet on our bridges makes 127/8 routable from there: only the host itself may use it.
  'rule guard iifname "lo" accept',
  "rule guard ip daddr 127.0.0.0/8 drop",
  "rule guard iifname @bridges accept",
  "rule guard ip daddr @subnets4 drop",
  "rule guard ip6 daddr @subnets6 drop",

  // From there no reply would find its way back: the proxy serves them.
  "rule publish ip6 daddr { ::1, fe80::/10 } return",
  "rule publish dnat ip to ip daddr . meta l4proto . th dport map @port4",
  "rule publish dnat ip to meta l4proto . th dport map @port4any",
  "rule publish dnat ip6 to ip6 daddr . meta l4proto . th dport map @port6",
  "rule publish dnat ip6 to meta l4proto . th dport map @port6any",
  "rule prerouting meta l4proto { tcp, udp, sctp } fib daddr type local jump publish",
  "rule output meta l4proto { tcp, udp, sctp } fib daddr type local jump publish",

  // The host to its own addresses, which are in those subnets too.
  'rule postrouting oifname "lo" return',
  "rule postrouting oifname != @bridges ip saddr @masq4 masquerade",
  "rule postrouting oifname != @bridges ip6 saddr @masq6 masquerade",
  "rule postrouting oifname != @bridges return",
  // From 127.0.0.1: no reply would find its way back.
  "rule postrouting ct status dnat ip saddr 127.0.0.0/8 masquerade",
  // From a container by the host's address to itself or a sibling. By address, since with br_netfilter iifname is the port's.
  "rule postrouting ct status dnat oifname . ip saddr @nets4 masquerade",
  "rule postrouting ct status dnat oifname . ip6 saddr @nets6 masquerade",

  // We switched forwarding on for these, for our networks' sake: between them the host forwards as little as before.
  "rule forward meta nfproto ipv4 iifname @uplinks oifname @uplinks drop",
  "rule forward meta nfproto ipv6 iifname @uplinks6 oifname @uplinks6 drop",
  "rule forward meta nfproto @closed iifname != @bridges oifname != @bridges drop",
  "rule forward iifname != @bridges oifname != @bridges return",
  "rule forward ct state established,related accept",
  "rule forward iifname . oifname @same accept",
  "rule forward iifname @internal drop",
  "rule forward oifname @internal drop",
  "rule forward ct status dnat accept",
  "rule forward ip saddr . ip daddr . meta l4proto . th dport @links4 accept",
  "rule forward iifname != @bridges ip daddr @free4 accept",
  "rule forward iifname != @bridges ip6 daddr @free6 accept",
  "rule forward oifname @bridges drop",
  "rule forward accept",
];

/** Sets whose elements are the host's links and not our objects; the kernel's table remembers them across daemons. */
export const HOST_SETS: readonly string[] = ["uplinks", "uplinks6", "closed"];

/** What a bridge network puts into the sets. */
export function networkElements(network: NetworkRecord): FirewallElement[] {
  const { bridge, internal, pools } = network;
  if (bridge === undefined || pools.length === 0) return [];
  return [
    { set: "bridges", key: `"${bridge.name}"` },
    ...(bridge.icc ? [{ set: "same", key: `"${bridge.name}" . "${bridge.name}"` }] : []),
    ...(internal ? [{ set: "internal", key: `"${bridge.name}"` }] : []),
    ...pools.flatMap(({ family, subnet }) => {
      const isFree = !internal && bridge.gatewayModes?.[family] === "nat-unprotected";
      // Containers that leave with their own addresses are answered there; others' connections the forward chain drops.
      const isGuarded = internal || (bridge.masquerade && !isFree);
      return [
        { set: `nets${family}`, key: `"${bridge.name}" . ${subnet}` },
        ...(isGuarded ? [{ set: `subnets${family}`, key: subnet }] : []),
        ...(isFree ? [{ set: `free${family}`, key: subnet }] : []),
        ...(bridge.masquerade && !internal ? [{ set: `masq${family}`, key: subnet }] : []),
      ];
    }),
  ];
}

/** All that an endpoint puts into the sets. */
export function endpointElements(endpoint: Addresses & Pick<Endpoint, "ports" | "linkedPorts">): FirewallElement[] {
  const links = endpoint.linkedPorts.map(({ address, port, protocol }) => {
    return { set: "links4", key: `${endpoint.ipv4Address} . ${address} . ${protocol} . ${port}` };
  });
  return [...portElements(endpoint), ...links];
}

/** What its published ports put into the maps. */
export function portElements(endpoint: Addresses & Pick<Endpoint, "ports">): FirewallElement[] {
  return endpoint.ports
    .filter((port) => isForwarded(port, endpoint))
    .map((port) => {
      const family = isIPv6(port.hostAddress) ? 6 : 4;
      const key = `${port.protocol} . ${port.hostPort}`;
      const value = `${family === 6 ? endpoint.ipv6Address : endpoint.ipv4Address} . ${port.containerPort}`;
      if (port.hostAddress === "0.0.0.0" || port.hostAddress === "::") return { set: `port${family}any`, key, value };
      return { set: `port${family}`, key: `${port.hostAddress} . ${key}`, value };
    });
}

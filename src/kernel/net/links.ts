import { AF_INET6 } from "./ip-text.ts";
import {
  ACK,
  attribute,
  byteAttribute,
  CREATE,
  decodeAttributes,
  decodeText,
  DUMP,
  EXCLUSIVE,
  nested,
  numberAttribute,
  REQUEST,
  textAttribute,
  type NetlinkMessage,
  type NetlinkRequest,
} from "./netlink.ts";

/** Links as rtnetlink requests, and what a dump of them says. */
export interface Link {
  index: number;
  name: string;
  kind: string;
  /** Index of the bridge it is a port of; 0: of none. */
  master: number;
  mtu: number;
  up: boolean;
  loopback: boolean;
}

/** All links we name ourselves begin so, so that others can name them in their rules (`-i tsubo+`). */
export const LINK_PREFIX = "tsubo";

const RTM_NEWLINK = 16;
const RTM_DELLINK = 17;
const RTM_GETLINK = 18;

const IFF_UP = 0x1;
const IFF_LOOPBACK = 0x8;

const IFLA_ADDRESS = 1;
const IFLA_IFNAME = 3;
const IFLA_MTU = 4;
const IFLA_MASTER = 10;
const IFLA_LINKINFO = 18;
const IFLA_AF_SPEC = 26;
const IFLA_NET_NS_FD = 28;
const IFLA_INFO_KIND = 1;
const IFLA_INFO_DATA = 2;
const IFLA_INFO_SLAVE_KIND = 4;
const IFLA_INFO_SLAVE_DATA = 5;
const VETH_INFO_PEER = 1;
const IFLA_INET6_ADDR_GEN_MODE = 8;
const ADDR_GEN_NONE = 1;
const IFLA_BR_NF_CALL_IPTABLES = 36;
const IFLA_BR_NF_CALL_IP6TABLES = 37;
const IFLA_BRPORT_STATE = 1;
const IFLA_BRPORT_MODE = 4;
const IFLA_BRPORT_ISOLATED = 33;
const PORT_DISABLED = 0;

const IFINFO_BYTES = 16;

/** RTMGRP_LINK: links that come, go and change. */
export const LINK_GROUP = 1;

export function createBridge(bridge: { name: string; macAddress: string; mtu: number | undefined }): NetlinkRequest {
  return linkRequest(RTM_NEWLINK, CREATE | EXCLUSIVE, `creating bridge ${bridge.name}`, linkHeader(0, 0), [
    textAttribute(IFLA_IFNAME, bridge.name),
    attribute(IFLA_ADDRESS, macBytes(bridge.macAddress)),
    ...(bridge.mtu === undefined ? [] : [numberAttribute(IFLA_MTU, bridge.mtu)]),
    attribute(IFLA_LINKINFO, textAttribute(IFLA_INFO_KIND, "bridge")),
  ]);
}

/**
 * A pair of which one end is a port of the bridge and the other already sits in the container's namespace under its final name. The
 * peer must not be up yet (ENOTCONN), nor may this message set IPv6's address generation (EAFNOSUPPORT): `raisePort` follows.
 */
export function createVeth(pair: {
  name: string;
  bridgeIndex: number;
  mtu: number | undefined;
  peer: { name: string; macAddress: string; namespaceFd: number };
}): NetlinkRequest {
  const mtu = pair.mtu === undefined ? [] : [numberAttribute(IFLA_MTU, pair.mtu)];
  const peer = attribute(
    VETH_INFO_PEER,
    linkHeader(0, 0),
    textAttribute(IFLA_IFNAME, pair.peer.name),
    attribute(IFLA_ADDRESS, macBytes(pair.peer.macAddress)),
    ...mtu,
    numberAttribute(IFLA_NET_NS_FD, pair.peer.namespaceFd),
  );
  return linkRequest(RTM_NEWLINK, CREATE | EXCLUSIVE, `creating link ${pair.name}`, linkHeader(0, 0), [
    textAttribute(IFLA_IFNAME, pair.name),
    numberAttribute(IFLA_MASTER, pair.bridgeIndex),
    ...mtu,
    attribute(IFLA_LINKINFO, textAttribute(IFLA_INFO_KIND, "veth"), attribute(IFLA_INFO_DATA, peer)),
  ]);
}

/**
 * Brings a bridge port up, without an IPv6 address of its own, and lets it send back where it received (hairpin: br_netfilter needs it).
 * Isolated ports reach each other only by way of the host, and so by its firewall, even where br_netfilter is off.
 */
export function raisePort(name: string, isolated: boolean): NetlinkRequest {
  return linkRequest(RTM_NEWLINK, 0, `bringing ${name} up`, linkHeader(0, IFF_UP), [
    textAttribute(IFLA_IFNAME, name),
    withoutAddressGeneration(),
    slaveData(byteAttribute(IFLA_BRPORT_MODE, 1), byteAttribute(IFLA_BRPORT_ISOLATED, isolated ? 1 : 0)),
  ]);
}

/** A dying namespace lives on for up to 120 ms; its port must not answer for the next holder of the address meanwhile. */
export function disablePort(name: string): NetlinkRequest {
  return linkRequest(RTM_NEWLINK, 0, `disabling port ${name}`, linkHeader(0, 0, 0), [
    textAttribute(IFLA_IFNAME, name),
    slaveData(byteAttribute(IFLA_BRPORT_STATE, PORT_DISABLED)),
  ]);
}

export function raiseBridge(name: string): NetlinkRequest {
  return linkRequest(RTM_NEWLINK, 0, `bringing ${name} up`, linkHeader(0, IFF_UP), [
    textAttribute(IFLA_IFNAME, name),
    withoutAddressGeneration(),
  ]);
}

/** Sends what goes from port to port of a bridge through the firewall's rules, whatever the host's own switch for that says. */
export function filterBridge(name: string): NetlinkRequest {
  const data = [byteAttribute(IFLA_BR_NF_CALL_IPTABLES, 1), byteAttribute(IFLA_BR_NF_CALL_IP6TABLES, 1)];
  return linkRequest(RTM_NEWLINK, 0, `filtering what passes ${name}`, linkHeader(0, 0), [
    textAttribute(IFLA_IFNAME, name),
    attribute(IFLA_LINKINFO, textAttribute(IFLA_INFO_KIND, "bridge"), attribute(IFLA_INFO_DATA, ...data)),
  ]);
}

export function raiseLink(name: string): NetlinkRequest {
  return linkRequest(RTM_NEWLINK, 0, `bringing ${name} up`, linkHeader(0, IFF_UP), [textAttribute(IFLA_IFNAME, name)]);
}

export function enslaveLink(name: string, bridgeIndex: number): NetlinkRequest {
  return linkRequest(RTM_NEWLINK, 0, `attaching ${name} to its bridge`, linkHeader(0, 0, 0), [
    textAttribute(IFLA_IFNAME, name),
    numberAttribute(IFLA_MASTER, bridgeIndex),
  ]);
}

export function setMtu(name: string, mtu: number): NetlinkRequest {
  return linkRequest(RTM_NEWLINK, 0, `setting the MTU of ${name} to ${mtu}`, linkHeader(0, 0, 0), [
    textAttribute(IFLA_IFNAME, name),
    numberAttribute(IFLA_MTU, mtu),
  ]);
}

export function deleteLink(name: string): NetlinkRequest {
  return linkRequest(RTM_DELLINK, 0, `deleting link ${name}`, linkHeader(0, 0, 0), [textAttribute(IFLA_IFNAME, name)]);
}

export const dumpLinks: NetlinkRequest = { type: RTM_GETLINK, flags: REQUEST | DUMP, body: linkHeader(0, 0, 0), what: "listing links" };
/** Answers with one link, or ENODEV. */
export function getLink(name: string): NetlinkRequest {
  return linkRequest(RTM_GETLINK, 0, `finding link ${name}`, linkHeader(0, 0), [textAttribute(IFLA_IFNAME, name)]);
}

export function decodeLink(message: NetlinkMessage): Link {
  const attributes = decodeAttributes(message.body, IFINFO_BYTES);
  const information = decodeAttributes(attributes.get(IFLA_LINKINFO) ?? Buffer.alloc(0), 0);
  const flags = message.body.readUInt32LE(8);
  return {
    index: message.body.readInt32LE(4),
    name: decodeText(attributes.get(IFLA_IFNAME)),
    kind: decodeText(information.get(IFLA_INFO_KIND)),
    master: attributes.get(IFLA_MASTER)?.readUInt32LE(0) ?? 0,
    mtu: attributes.get(IFLA_MTU)?.readUInt32LE(0) ?? 0,
    up: (flags & IFF_UP) !== 0,
    loopback: (flags & IFF_LOOPBACK) !== 0,
  };
}

function macBytes(text: string): Buffer {
  return Buffer.from(text.replaceAll(":", ""), "hex");
}

function withoutAddressGeneration(): Buffer {
  return nested(IFLA_AF_SPEC, nested(AF_INET6, byteAttribute(IFLA_INET6_ADDR_GEN_MODE, ADDR_GEN_NONE)));
}

function slaveData(...data: Buffer[]): Buffer {
  return attribute(IFLA_LINKINFO, textAttribute(IFLA_INFO_SLAVE_KIND, "bridge"), attribute(IFLA_INFO_SLAVE_DATA, ...data));
}

function linkHeader(index: number, flags: number, change = flags): Buffer {
  const header = Buffer.alloc(IFINFO_BYTES);
  header.writeInt32LE(index, 4);
  header.writeUInt32LE(flags, 8);
  header.writeUInt32LE(change, 12);
  return header;
}

function linkRequest(type: number, flags: number, what: string, header: Buffer, attributes: Buffer[]): NetlinkRequest {
  return { type, flags: REQUEST | ACK | flags, body: Buffer.concat([header, ...attributes]), what };
}

import { AF_INET, AF_INET6, addressText, familyOf } from "./ip-text.ts";
import {
  ACK,
  attribute,
  CREATE,
  decodeAttributes,
  DUMP,
  numberAttribute,
  REPLACE,
  REQUEST,
  type NetlinkMessage,
  type NetlinkRequest,
} from "./netlink.ts";

/** Addresses of links and routes of both families as rtnetlink requests, and what their dumps say. Addresses are 4 or 16 bytes. */
export interface LinkAddress {
  linkIndex: number;
  address: string;
  prefixLength: number;
}

export interface Route {
  destination: string;
  prefixLength: number;
  linkIndex: number;
}

const RTM_NEWADDR = 20;
const RTM_DELADDR = 21;
const RTM_GETADDR = 22;
const RTM_NEWROUTE = 24;
const RTM_DELROUTE = 25;
const RTM_GETROUTE = 26;

const IFA_ADDRESS = 1;
const IFA_LOCAL = 2;
const IFA_BROADCAST = 4;
const IFA_FLAGS = 8;
const IFA_F_NODAD = 0x02;
const RTA_DST = 1;
const RTA_OIF = 4;
const RTA_GATEWAY = 5;
const RT_TABLE_MAIN = 254;
const RTPROT_BOOT = 3;
const RTN_UNICAST = 1;
const ADDRESS_HEADER_BYTES = 8;
const ROUTE_HEADER_BYTES = 12;

/** IPv6 addresses serve from the first packet: nobody else can have one that we lease, so the kernel need not ask for 2.6 s. */
export function addAddress(linkIndex: number, address: Buffer, prefixLength: number, what: string): NetlinkRequest {
  const isIpv4 = familyOf(address) === AF_INET;
  const body = Buffer.concat([
    addressOf(linkIndex, address, prefixLength),
    ...(isIpv4 && prefixLength < 31 ? [attribute(IFA_BROADCAST, broadcastOf(address, prefixLength))] : []),
    ...(isIpv4 ? [] : [numberAttribute(IFA_FLAGS, IFA_F_NODAD)]),
  ]);
  return { type: RTM_NEWADDR, flags: REQUEST | ACK | CREATE | REPLACE, body, what };
}

export function deleteAddress(linkIndex: number, address: Buffer, prefixLength: number, what: string): NetlinkRequest {
  return { type: RTM_DELADDR, flags: REQUEST | ACK, body: addressOf(linkIndex, address, prefixLength), what };
}

function addressOf(linkIndex: number, address: Buffer, prefixLength: number): Buffer {
  const header = Buffer.alloc(ADDRESS_HEADER_BYTES);
  header.writeUInt8(familyOf(address), 0);
  header.writeUInt8(prefixLength, 1);
  header.writeUInt32LE(linkIndex, 4);
  return Buffer.concat([header, attribute(IFA_LOCAL, address), attribute(IFA_ADDRESS, address)]);
}

function broadcastOf(address: Buffer, prefixLength: number): Buffer {
  const broadcast = Buffer.alloc(4);
  broadcast.writeUInt32BE((address.readUInt32BE(0) | (0xffffffff >>> prefixLength)) >>> 0);
  return broadcast;
}

/** Makes this the default route of the gateway's family, instead of one that is there. */
export function setDefaultRoute(linkIndex: number, gateway: Buffer, what: string): NetlinkRequest {
  const body = Buffer.concat([
    defaultRoute(familyOf(gateway), RTPROT_BOOT, RTN_UNICAST),
    attribute(RTA_GATEWAY, gateway),
    numberAttribute(RTA_OIF, linkIndex),
  ]);
  return { type: RTM_NEWROUTE, flags: REQUEST | ACK | CREATE | REPLACE, body, what };
}

/** Answers ESRCH when there is none. */
export function deleteDefaultRoute(family: 4 | 6): NetlinkRequest {
  const body = defaultRoute(family === 6 ? AF_INET6 : AF_INET, 0, 0);
  return { type: RTM_DELROUTE, flags: REQUEST | ACK, body, what: `deleting the default route of IPv${family}` };
}

function defaultRoute(family: number, protocol: number, type: number): Buffer {
  return Buffer.from([family, 0, 0, 0, RT_TABLE_MAIN, protocol, 0, type, 0, 0, 0, 0]);
}

export const dumpIpv4Addresses: NetlinkRequest = dumpOf(RTM_GETADDR, AF_INET, ADDRESS_HEADER_BYTES, "listing addresses");
export const dumpIpv6Addresses: NetlinkRequest = dumpOf(RTM_GETADDR, AF_INET6, ADDRESS_HEADER_BYTES, "listing IPv6 addresses");
export const dumpIpv4Routes: NetlinkRequest = dumpOf(RTM_GETROUTE, AF_INET, ROUTE_HEADER_BYTES, "listing routes");
export const dumpIpv6Routes: NetlinkRequest = dumpOf(RTM_GETROUTE, AF_INET6, ROUTE_HEADER_BYTES, "listing IPv6 routes");

function dumpOf(type: number, family: number, headerBytes: number, what: string): NetlinkRequest {
  const body = Buffer.alloc(headerBytes);
  body.writeUInt8(family, 0);
  return { type, flags: REQUEST | DUMP, body, what };
}

export function decodeAddress(message: NetlinkMessage): LinkAddress {
  const attributes = decodeAttributes(message.body, ADDRESS_HEADER_BYTES);
  const address = attributes.get(IFA_LOCAL) ?? attributes.get(IFA_ADDRESS) ?? unspecified(message);
  return { linkIndex: message.body.readUInt32LE(4), address: addressText(address), prefixLength: message.body.readUInt8(1) };
}

export function decodeRoute(message: NetlinkMessage): Route {
  const attributes = decodeAttributes(message.body, ROUTE_HEADER_BYTES);
  return {
    destination: addressText(attributes.get(RTA_DST) ?? unspecified(message)),
    prefixLength: message.body.readUInt8(1),
    linkIndex: attributes.get(RTA_OIF)?.readUInt32LE(0) ?? 0,
  };
}

function unspecified(message: NetlinkMessage): Buffer {
  return Buffer.alloc(message.body.readUInt8(0) === AF_INET6 ? 16 : 4);
}

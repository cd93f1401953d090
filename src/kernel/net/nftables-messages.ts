import { ACK, REQUEST, type NetlinkRequest } from "./netlink.ts";

/** What all messages of nf_tables have in common (linux/netfilter/nfnetlink.h and nf_tables.h). */
const SUBSYSTEM = 10;
export const NFT_NEWTABLE = SUBSYSTEM << 8;
export const NFT_GETTABLE = (SUBSYSTEM << 8) | 1;
export const NFT_DELTABLE = (SUBSYSTEM << 8) | 2;
export const NFT_NEWCHAIN = (SUBSYSTEM << 8) | 3;
export const NFT_NEWRULE = (SUBSYSTEM << 8) | 6;
export const NFT_GETGEN = (SUBSYSTEM << 8) | 16;

const BATCH_BEGIN = 0x10;
const BATCH_END = 0x11;

export function netfilterHeader(family: number, resourceId: number): Buffer {
  const header = Buffer.from([family, 0, 0, 0]);
  header.writeUInt16BE(resourceId, 2);
  return header;
}

/** One transaction: all of them or none. Only the last asks for an answer, or many of them would not fit into the socket's buffer. */
export function inBatch(requests: readonly NetlinkRequest[]): NetlinkRequest[] {
  const begin: NetlinkRequest = { type: BATCH_BEGIN, flags: REQUEST, body: netfilterHeader(0, SUBSYSTEM), what: "" };
  const last = requests.at(-1);
  const acknowledged = last === undefined ? [] : [...requests.slice(0, -1), { ...last, flags: last.flags | ACK }];
  return [begin, ...acknowledged, { ...begin, type: BATCH_END }];
}

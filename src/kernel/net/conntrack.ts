import { AF_INET, AF_INET6, addressText, familyOf } from "./ip-text.ts";
import { ACK, attribute, byteAttribute, nested, REQUEST, type NetlinkRequest } from "./netlink.ts";

/**
 * Connection tracking: forgets the connections of one container or one published port. Without this a UDP client whose packets never
 * pause keeps reaching whoever had the address or port when its first packet came.
 */

const CT_DELETE = (1 << 8) | 2;
const CTA_TUPLE_ORIG = 1;
const CTA_TUPLE_REPLY = 2;
const CTA_FILTER = 25;
const CTA_TUPLE_IP = 1;
const CTA_TUPLE_PROTO = 2;
const CTA_IP_V4_SRC = 1;
const CTA_IP_V6_SRC = 3;
const CTA_PROTO_NUM = 1;
const CTA_PROTO_DST_PORT = 3;
const CTA_FILTER_ORIG_FLAGS = 1;
const CTA_FILTER_REPLY_FLAGS = 2;

/** What of a tuple the filter compares (CTA_FILTER_F_* in the kernel's net/netfilter/nf_internals.h). */
const COMPARE_SOURCE = 1 << 0;
const COMPARE_PROTOCOL = 1 << 3;
const COMPARE_DESTINATION_PORT = 1 << 5;

/** Numbers of the protocols that have ports. */
export const PROTOCOL_NUMBERS = { tcp: 6, udp: 17, sctp: 132 } as const;

/** Forgets every connection that `address` (4 or 16 bytes) answers. */
export function forgetConnectionsTo(address: Buffer): NetlinkRequest {
  const family = familyOf(address);
  const source = attribute(family === AF_INET6 ? CTA_IP_V6_SRC : CTA_IP_V4_SRC, address);
  const tuple = nested(CTA_TUPLE_REPLY, nested(CTA_TUPLE_IP, source));
  return deletion(family, tuple, 0, COMPARE_SOURCE, `forgetting connections to ${addressText(address)}`);
}

/** Forgets every connection of a family and protocol that was made to `port`, whoever answers it. */
export function forgetConnectionsOfPort(family: 4 | 6, port: number, protocol: number): NetlinkRequest {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(port);
  const tuple = nested(
    CTA_TUPLE_ORIG,
    nested(CTA_TUPLE_PROTO, byteAttribute(CTA_PROTO_NUM, protocol), attribute(CTA_PROTO_DST_PORT, bytes)),
  );
  const compared = COMPARE_PROTOCOL | COMPARE_DESTINATION_PORT;
  return deletion(family === 6 ? AF_INET6 : AF_INET, tuple, compared, 0, `forgetting connections of port ${port}`);
}

function deletion(family: number, tuple: Buffer, originalFlags: number, replyFlags: number, what: string): NetlinkRequest {
  const filter = nested(
    CTA_FILTER,
    flagsAttribute(CTA_FILTER_ORIG_FLAGS, originalFlags),
    flagsAttribute(CTA_FILTER_REPLY_FLAGS, replyFlags),
  );
  return { type: CT_DELETE, flags: REQUEST | ACK, body: Buffer.concat([Buffer.from([family, 0, 0, 0]), tuple, filter]), what };
}

function flagsAttribute(type: number, flags: number): Buffer {
  const native = Buffer.alloc(4);
  native.writeUInt32LE(flags);
  return attribute(type, native);
}

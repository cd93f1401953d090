import { AF_INET, AF_INET6 } from "./ip-text.ts";
import { ACK, attribute, byteAttribute, nested, REQUEST, type NetlinkRequest } from "./netlink.ts";

/**
 * Connection tracking: forgets the connections of a published port. Without this a UDP client whose packets never pause keeps reaching
 * whoever had the port, or the address it was rewritten to, when its first packet came.
 *
 * By port and not by address: of IPv6 addresses the kernel's filter takes those that differ from what it is given (ctnetlink in 6.18).
 */

const CT_DELETE = (1 << 8) | 2;
const CTA_TUPLE_ORIG = 1;
const CTA_FILTER = 25;
const CTA_TUPLE_PROTO = 2;
const CTA_PROTO_NUM = 1;
const CTA_PROTO_DST_PORT = 3;
const CTA_FILTER_ORIG_FLAGS = 1;
const CTA_FILTER_REPLY_FLAGS = 2;

/** What of a tuple the filter compares (CTA_FILTER_F_* in the kernel's net/netfilter/nf_internals.h). */
const COMPARE_PROTOCOL = 1 << 3;
const COMPARE_DESTINATION_PORT = 1 << 5;

/** Numbers of the protocols that have ports. */
export const PROTOCOL_NUMBERS = { tcp: 6, udp: 17, sctp: 132 } as const;

/** Forgets every connection of a family and protocol that was made to `port`, whoever answers it. */
export function forgetConnectionsOfPort(family: 4 | 6, port: number, protocol: number): NetlinkRequest {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(port);
  const tuple = nested(
    CTA_TUPLE_ORIG,
    nested(CTA_TUPLE_PROTO, byteAttribute(CTA_PROTO_NUM, protocol), attribute(CTA_PROTO_DST_PORT, bytes)),
  );
  const filter = nested(
    CTA_FILTER,
    flagsAttribute(CTA_FILTER_ORIG_FLAGS, COMPARE_PROTOCOL | COMPARE_DESTINATION_PORT),
    flagsAttribute(CTA_FILTER_REPLY_FLAGS, 0),
  );
  const header = Buffer.from([family === 6 ? AF_INET6 : AF_INET, 0, 0, 0]);
  const body = Buffer.concat([header, tuple, filter]);
  return { type: CT_DELETE, flags: REQUEST | ACK, body, what: `forgetting connections of port ${port}` };
}

function flagsAttribute(type: number, flags: number): Buffer {
  const native = Buffer.alloc(4);
  native.writeUInt32LE(flags);
  return attribute(type, native);
}

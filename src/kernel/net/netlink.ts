/**
 * Netlink messages as bytes: pure encoding and decoding, shared by links (rtnetlink), the firewall's generation and table flags
 * (nfnetlink) and connection tracking (ctnetlink). Little-endian machines only, as all that Node 24 supports for Linux but s390x.
 */

/** A request of one message. `what` names it when the kernel refuses it. */
export interface NetlinkRequest {
  type: number;
  flags: number;
  body: Buffer;
  what: string;
}

export interface NetlinkMessage {
  type: number;
  flags: number;
  sequence: number;
  body: Buffer;
}

/** Flags of a message (linux/netlink.h). */
export const REQUEST = 0x1;
export const ACK = 0x4;
export const REPLACE = 0x100;
export const EXCLUSIVE = 0x200;
export const CREATE = 0x400;
export const DUMP = 0x300;

/** Types of messages that netlink itself defines. */
export const NLMSG_ERROR = 2;
export const NLMSG_DONE = 3;

const HEADER_BYTES = 16;
const ACK_TLVS = 0x200;
const TYPE_MASK = 0x3fff;
const ERROR_TEXT = 1;

const align = (length: number): number => (length + 3) & ~3;

export function attribute(type: number, ...content: Buffer[]): Buffer {
  const length = 4 + content.reduce((sum, part) => sum + part.length, 0);
  const buffer = Buffer.alloc(align(length));
  buffer.writeUInt16LE(length, 0);
  buffer.writeUInt16LE(type, 2);
  let offset = 4;
  for (const part of content) offset += part.copy(buffer, offset);
  return buffer;
}

/** An attribute that holds attributes, marked so (ctnetlink and nf_tables insist on the mark). */
export function nested(type: number, ...content: Buffer[]): Buffer {
  return attribute(type | 0x8000, ...content);
}

export function textAttribute(type: number, text: string): Buffer {
  return attribute(type, Buffer.from(`${text}\0`));
}

export function byteAttribute(type: number, value: number): Buffer {
  return attribute(type, Buffer.from([value]));
}

export function numberAttribute(type: number, value: number): Buffer {
  const buffer = Buffer.alloc(4);
  buffer.writeUInt32LE(value >>> 0);
  return attribute(type, buffer);
}

/** A 32-bit number in network order, as netfilter wants them. */
export function bigEndianAttribute(type: number, value: number): Buffer {
  const buffer = Buffer.alloc(4);
  buffer.writeUInt32BE(value >>> 0);
  return attribute(type, buffer);
}

export function encodeMessage(request: NetlinkRequest, sequence: number): Buffer {
  const buffer = Buffer.alloc(align(HEADER_BYTES + request.body.length));
  buffer.writeUInt32LE(HEADER_BYTES + request.body.length, 0);
  buffer.writeUInt16LE(request.type, 4);
  buffer.writeUInt16LE(request.flags, 6);
  buffer.writeUInt32LE(sequence, 8);
  request.body.copy(buffer, HEADER_BYTES);
  return buffer;
}

export function decodeMessages(datagram: Buffer): NetlinkMessage[] {
  const messages: NetlinkMessage[] = [];
  let offset = 0;
  while (offset + HEADER_BYTES <= datagram.length) {
    const length = datagram.readUInt32LE(offset);
    if (length < HEADER_BYTES || offset + length > datagram.length) break;
    messages.push({
      type: datagram.readUInt16LE(offset + 4),
      flags: datagram.readUInt16LE(offset + 6),
      sequence: datagram.readUInt32LE(offset + 8),
      body: datagram.subarray(offset + HEADER_BYTES, offset + length),
    });
    offset += align(length);
  }
  return messages;
}

/** The attributes after a fixed part of `offset` bytes; of one type the last. */
export function decodeAttributes(body: Buffer, offset: number): Map<number, Buffer> {
  const attributes = new Map<number, Buffer>();
  while (offset + 4 <= body.length) {
    const length = body.readUInt16LE(offset);
    if (length < 4 || offset + length > body.length) break;
    attributes.set(body.readUInt16LE(offset + 2) & TYPE_MASK, body.subarray(offset + 4, offset + length));
    offset += align(length);
  }
  return attributes;
}

export function decodeText(value: Buffer | undefined): string {
  if (value === undefined) return "";
  const end = value.indexOf(0);
  return value.toString("utf8", 0, end < 0 ? value.length : end);
}

/** What an NLMSG_ERROR says: errno 0 is an acknowledgement; the text is the kernel's own explanation, where it has one. */
export function decodeError(message: NetlinkMessage): { errno: number; text: string } {
  const errno = -message.body.readInt32LE(0);
  if ((message.flags & ACK_TLVS) === 0) return { errno, text: "" };
  // The header of the refused request follows; with NETLINK_CAP_ACK its body does not.
  const attributes = decodeAttributes(message.body, 4 + HEADER_BYTES);
  return { errno, text: decodeText(attributes.get(ERROR_TEXT)) };
}

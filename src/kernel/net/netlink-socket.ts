import { closeSync } from "node:fs";

import { checked, errno, libc, SystemCallError } from "../ffi.ts";
import {
  ACK,
  decodeError,
  decodeMessages,
  encodeMessage,
  NLMSG_DONE,
  NLMSG_ERROR,
  type NetlinkMessage,
  type NetlinkRequest,
} from "./netlink.ts";

/**
 * A netlink socket, used synchronously. It belongs for life to the network namespace of the thread that opened it, so one that was opened
 * inside a container's namespace goes on configuring that namespace after the thread has left.
 */
export interface NetlinkSocket {
  readonly fd: number;
  /**
   * Sends all requests in one datagram and reads the answer to each that asks for one (ACK); throws at the first refusal, when all answers
   * are read.
   */
  transact(requests: NetlinkRequest[]): void;
  /** Sends one request and gives back everything it is answered with. */
  query(request: NetlinkRequest): NetlinkMessage[];
  /** What arrived without being asked for. `lost` when the kernel had to drop some. */
  drain(): { messages: NetlinkMessage[]; lost: boolean };
  close(): void;
}

export const NETLINK_ROUTE = 0;
export const NETLINK_NETFILTER = 12;

const AF_NETLINK = 16;
const SOCK_RAW = 3;
const SOCK_CLOEXEC = 0o2000000;
const SOL_SOCKET = 1;
const SO_RCVTIMEO = 20;
const SOL_NETLINK = 270;
const NETLINK_CAP_ACK = 10;
const NETLINK_EXT_ACK = 11;
const MSG_DONTWAIT = 0x40;
const EAGAIN = 11;
const ENOBUFS = 105;

/** The kernel answers before `send` returns; a socket that stays silent this long is broken. */
const ANSWER_LIMIT_S = 5;
const RECEIVE_BYTES = 65536;

const socketCall = libc("int socket(int domain, int type, int protocol)");
const bindCall = libc("int bind(int fd, const void *address, unsigned int length)");
const setsockoptCall = libc("int setsockopt(int fd, int level, int name, const void *value, unsigned int length)");
const sendCall = libc("long send(int fd, const void *data, size_t length, int flags)");
const recvCall = libc("long recv(int fd, void *data, size_t length, int flags)");

let receiveBuffer: Buffer | undefined;
let lastSequence = 1;

/** Opens a socket in the calling thread's network namespace. `groups` is the mask of multicast groups to listen to. */
export function openNetlinkSocket(protocol: number, groups = 0): NetlinkSocket {
  const fd = checked("socket", socketCall(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol), "netlink");
  try {
    const on = Buffer.from([1, 0, 0, 0]);
    setsockoptCall(fd, SOL_NETLINK, NETLINK_CAP_ACK, on, 4);
    setsockoptCall(fd, SOL_NETLINK, NETLINK_EXT_ACK, on, 4);
    const limit = Buffer.alloc(16);
    limit.writeUInt32LE(ANSWER_LIMIT_S, 0);
    setsockoptCall(fd, SOL_SOCKET, SO_RCVTIMEO, limit, 16);
    const address = Buffer.alloc(12);
    address.writeUInt16LE(AF_NETLINK, 0);
    address.writeUInt32LE(groups, 8);
    checked("bind", bindCall(fd, address, address.length), "netlink");
  } catch (error) {
    closeSync(fd);
    throw error;
  }
  return useNetlinkSocket(fd);
}

/** The same for a socket that somebody else opened (libnftables, whose socket owns our table). */
export function useNetlinkSocket(fd: number): NetlinkSocket {
  return {
    fd,
    transact(requests) {
      const first = lastSequence + 1;
      lastSequence += requests.length;
      send(fd, Buffer.concat(requests.map((request, index) => encodeMessage(request, first + index))));
      const waiting = new Map<number, NetlinkRequest>();
      for (const [index, request] of requests.entries()) if (request.flags & ACK) waiting.set(first + index, request);
      let refusal: Error | undefined;
      while (waiting.size > 0) {
        for (const message of receive(fd, 0)) {
          const request = waiting.get(message.sequence);
          if (request === undefined || message.type !== NLMSG_ERROR) continue;
          waiting.delete(message.sequence);
          refusal ??= refusalOf(request, message);
        }
      }
      if (refusal) throw refusal;
    },
    query(request) {
      lastSequence += 1;
      const sequence = lastSequence;
      send(fd, encodeMessage(request, sequence));
      const answer: NetlinkMessage[] = [];
      for (;;) {
        for (const message of receive(fd, 0)) {
          if (message.sequence !== sequence) continue;
          if (message.type === NLMSG_DONE) return answer;
          if (message.type === NLMSG_ERROR) {
            const refusal = refusalOf(request, message);
            if (refusal) throw refusal;
            return answer;
          }
          answer.push({ ...message, body: Buffer.from(message.body) });
        }
      }
    },
    drain() {
      const messages: NetlinkMessage[] = [];
      let lost = false;
      for (;;) {
        try {
          for (const message of receive(fd, MSG_DONTWAIT)) messages.push({ ...message, body: Buffer.from(message.body) });
        } catch (error) {
          if (!(error instanceof SystemCallError)) throw error;
          if (error.errno === EAGAIN) return { messages, lost };
          if (error.errno !== ENOBUFS) throw error;
          lost = true;
        }
      }
    },
    close: () => closeSync(fd),
  };
}

function send(fd: number, datagram: Buffer): void {
  checked("send", Number(sendCall(fd, datagram, datagram.length, 0)), "netlink");
}

function receive(fd: number, flags: number): NetlinkMessage[] {
  receiveBuffer ??= Buffer.alloc(RECEIVE_BYTES);
  const length = Number(recvCall(fd, receiveBuffer, receiveBuffer.length, flags));
  if (length < 0) throw new SystemCallError("recv", errno(), "netlink");
  return decodeMessages(receiveBuffer.subarray(0, length));
}

function refusalOf(request: NetlinkRequest, message: NetlinkMessage): SystemCallError | undefined {
  const { errno: number, text } = decodeError(message);
  if (number === 0) return undefined;
  return new SystemCallError("netlink", number, text === "" ? request.what : `${request.what} (${text})`);
}

/** Does what the kernel may refuse for one of these reasons, since then it is so already. */
export function ignoring(codes: string[], work: () => void): void {
  try {
    work();
  } catch (error) {
    if (!(error instanceof SystemCallError) || !codes.includes(error.code)) throw error;
  }
}

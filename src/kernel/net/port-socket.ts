import { closeSync } from "node:fs";

import { checked, libc, SystemCallError } from "../ffi.ts";
import { addressBytes, AF_INET6, familyOf } from "./ip-text.ts";

/**
 * A host port taken by a socket that is bound and nothing else: not listening and without SO_REUSEADDR, every other bind of the port gets
 * EADDRINUSE, rewriting of packets by the firewall goes on undisturbed, and if the rules were gone clients would get a refusal. With
 * SO_REUSEADDR others could steal it; listening without accepting would let clients hang.
 */

const SOCK_STREAM = 1;
const SOCK_DGRAM = 2;
const SOCK_CLOEXEC = 0o2000000;
const SOL_SOCKET = 1;
const SO_REUSEADDR = 2;
const SO_ACCEPTCONN = 30;
const SHUT_RD = 0;
const IPPROTO_IPV6 = 41;
const IPV6_V6ONLY = 26;
const IPPROTO_SCTP = 132;
const BACKLOG = 128;

const socketCall = libc("int socket(int domain, int type, int protocol)");
const bindCall = libc("int bind(int fd, const void *address, unsigned int length)");
const getsocknameCall = libc("int getsockname(int fd, void *address, void *length)");
const listenCall = libc("int listen(int fd, int backlog)");
const setsockoptCall = libc("int setsockopt(int fd, int level, int name, const void *value, unsigned int length)");

const getsockoptCall = libc("int getsockopt(int fd, int level, int name, void *value, void *length)");
const shutdownCall = libc("int shutdown(int fd, int how)");

interface Port {
  protocol: "tcp" | "udp" | "sctp";
  address: string;
  port: number;
}

/** Binds the port and gives the descriptor that holds it; throws a SystemCallError (EADDRINUSE, EADDRNOTAVAIL, EACCES, …). */
export function bindPort(port: Port): number {
  const address = socketAddress(port.address, port.port);
  try {
    return bindSocket(port, address, false);
  } catch (error) {
    if (port.protocol !== "tcp" || !(error instanceof SystemCallError) || error.code !== "EADDRINUSE") throw error;
    // Connections of a service that has ended keep its port for a minute (TIME_WAIT) from all but those who may share it; a service that
    // still listens does so even then.
    return bindSocket(port, address, true);
  }
}

/** From now on connections wait for whoever will accept them, instead of being refused. */
export function holdConnections(fd: number): void {
  checked("listen", listenCall(fd, BACKLOG), "to hold connections");
}

/** The port that a bound socket got. */
export function portOf(fd: number): number {
  const address = Buffer.alloc(28);
  const length = Buffer.from([address.length, 0, 0, 0]);
  checked("getsockname", getsocknameCall(fd, address, length), "asking a socket for its port");
  return address.readUInt16BE(2);
}

/**
 * Lets the port be bound again as soon as the socket is closed, although connections it accepted linger in TIME_WAIT; for a socket that is
 * about to listen, which keeps others away even so.
 */
export function allowSuccessor(fd: number): void {
  checked("setsockopt", setsockoptCall(fd, SOL_SOCKET, SO_REUSEADDR, Buffer.from([1, 0, 0, 0]), 4), "to let a port be used again");
}

/** Makes a listening socket one that is bound and nothing else again; leaves others as they are. */
export function stopListening(fd: number): void {
  const listens = Buffer.alloc(4);
  checked("getsockopt", getsockoptCall(fd, SOL_SOCKET, SO_ACCEPTCONN, listens, Buffer.from([4, 0, 0, 0])), "of a port's socket");
  if (listens.readInt32LE(0) === 1) checked("shutdown", shutdownCall(fd, SHUT_RD), "to stop listening");
}

function bindSocket(port: Port, address: Buffer, share: boolean): number {
  const what = `to ${port.address}:${port.port}/${port.protocol}`;
  const family = address.readUInt16LE(0);
  const type = port.protocol === "udp" ? SOCK_DGRAM : SOCK_STREAM;
  const fd = checked("socket", socketCall(family, type | SOCK_CLOEXEC, port.protocol === "sctp" ? IPPROTO_SCTP : 0), what);
  try {
    const on = Buffer.from([1, 0, 0, 0]);
    if (family === AF_INET6) checked("setsockopt", setsockoptCall(fd, IPPROTO_IPV6, IPV6_V6ONLY, on, 4), what);
    if (share) checked("setsockopt", setsockoptCall(fd, SOL_SOCKET, SO_REUSEADDR, on, 4), what);
    checked("bind", bindCall(fd, address, address.length), what);
    if (share) checked("setsockopt", setsockoptCall(fd, SOL_SOCKET, SO_REUSEADDR, Buffer.alloc(4), 4), what);
    return fd;
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

/** A `sockaddr_in` or `sockaddr_in6`. */
export function socketAddress(text: string, port: number): Buffer {
  const bytes = addressBytes(text);
  const family = familyOf(bytes);
  const address = Buffer.alloc(family === AF_INET6 ? 28 : 16);
  address.writeUInt16LE(family, 0);
  address.writeUInt16BE(port, 2);
  bytes.copy(address, family === AF_INET6 ? 8 : 4);
  return address;
}

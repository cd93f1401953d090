import { closeSync } from "node:fs";
import { isIPv6 } from "node:net";

import { checked, errno, libc, SystemCallError } from "../ffi.ts";
import { AF_INET, AF_INET6 } from "./ip-text.ts";
import { socketAddress } from "./port-socket.ts";

/**
 * Sockets for asking somebody else, opened in the calling thread's network namespace, where they stay. None waits for anything: a
 * connection is under way when its descriptor is given.
 */

const SOCK_STREAM = 1;
const SOCK_DGRAM = 2;
const SOCK_NONBLOCK = 0o4000;
const SOCK_CLOEXEC = 0o2000000;
const EINPROGRESS = 115;

const socketCall = libc("int socket(int domain, int type, int protocol)");
const connectCall = libc("int connect(int fd, const void *address, unsigned int length)");

export function openDatagramSocket(address: string): number {
  return openSocket(address, SOCK_DGRAM);
}

export function beginConnection(address: string, port: number): number {
  const fd = openSocket(address, SOCK_STREAM);
  const socket = socketAddress(address, port);
  if (connectCall(fd, socket, socket.length) === 0) return fd;
  const error = new SystemCallError("connect", errno(), `to ${address}:${port}`);
  if (error.errno === EINPROGRESS) return fd;
  closeSync(fd);
  throw error;
}

function openSocket(address: string, type: number): number {
  const family = isIPv6(address) ? AF_INET6 : AF_INET;
  return checked("socket", socketCall(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), `for ${address}`);
}

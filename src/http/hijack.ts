import type { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";

import { descriptorOf } from "../base/socket-descriptor.ts";
import { ClientGone } from "./answer.ts";

/**
 * Turns a connection into the stdio of a container or exec.
 *
 * Two ways in. With `Upgrade: tcp` (every client of today) Node's `upgrade` event gives the socket and the bytes that came after the head,
 * among them the request's body, which is read by hand (`readUpgradeBody`). Without it (clients from before 2015, curl) the parser is
 * taken off the socket. Two ways on: bytes flow both ways through us, with backpressure, until the target ends, and either side may end
 * its half and still get the other's (`startSession`); or the connection itself is given away (`seizeSocket`).
 */
export function startSession(socket: Socket, head: string, stream: Duplex, signal: AbortSignal): void {
  socket.write(head, "latin1");
  joinStreams(socket, stream, signal);
}

/** The answer that makes a connection a session's. */
export function sessionHead(upgraded: boolean, contentType: string, headers: [string, string][]): string {
  const head = upgraded
    ? ["HTTP/1.1 101 UPGRADED", `Content-Type: ${contentType}`, "Connection: Upgrade", "Upgrade: tcp"]
    : ["HTTP/1.1 200 OK", "Content-Type: application/vnd.docker.raw-stream"];
  const rest = headers.map(([name, value]) => `${name}: ${value}`);
  return `${[...head, ...rest].join("\r\n")}\r\n\r\n`;
}

/** Stops reading from a connection that is to be given away: its descriptor, and what was read from it already. */
export function seizeSocket(socket: Socket): { descriptor: number; early: Buffer } {
  const descriptor = descriptorOf(socket);
  if (descriptor === undefined) throw new ClientGone();
  // There is no public way (as of Node 24); e2e/attach.e2e.ts pins that this one works.
  const { _handle: handle } = socket as Socket & { _handle?: { readStop(): void } | null };
  handle?.readStop();
  const early: Buffer[] = [];
  // A socket without an encoding gives Buffers.
  for (let chunk = socket.read() as Buffer | null; chunk !== null; chunk = socket.read() as Buffer | null) early.push(chunk);
  return { descriptor, early: Buffer.concat(early) };
}

/** How long a client may keep its half open after the target has ended. */
const LINGER_MS = 10_000;

/** `pipe` passes chunks and ends on, with backpressure and without copies; errors and early closes are seen to here. */
function joinStreams(socket: Socket, stream: Duplex, signal: AbortSignal): void {
  socket.setNoDelay(true);
  socket.setTimeout(0);
  stream.pipe(socket);
  socket.pipe(stream);
  let over = false;
  const targetEnded = (): void => {
    if (over) return;
    over = true;
    socket.unpipe(stream);
    socket.end();
    // What the client still sends is read and dropped: closing on unread bytes would reset the connection under the answer's tail.
    socket.resume();
    setTimeout(() => socket.destroy(), LINGER_MS).unref();
    stream.destroy();
  };
  stream.on("end", targetEnded);
  stream.on("error", targetEnded);
  stream.on("close", targetEnded);
  signal.addEventListener("abort", targetEnded, { once: true });
  socket.on("error", () => socket.destroy());
  socket.on("close", () => {
    over = true;
    stream.destroy();
  });
}

/** Takes the socket of an ordinary request away from Node's HTTP parser. The request's body must have been read. */
export function takeSocket(request: IncomingMessage, response: ServerResponse): void {
  const { socket } = request;
  response.detachSocket(socket);
  // There is no public way (as of Node 24); hijack.test.ts pins that this one works. Without it stdin would be parsed as the next request.
  const { parser } = socket as Socket & { parser?: { unconsume(): void; remove(): void } | null };
  parser?.unconsume();
  parser?.remove();
  Object.assign(socket, { parser: null });
  for (const event of ["data", "end", "drain", "timeout", "error", "close"]) socket.removeAllListeners(event);
}

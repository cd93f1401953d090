import type { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";

/**
 * Turns a connection into the stdio of a container or exec.
 *
 * Two ways in. With `Upgrade: tcp` (every client of today) Node's `upgrade` event gives the socket and the bytes that came after the head,
 * among them the request's body, which is read by hand (`readUpgradeBody`). Without it (clients from before 2015, curl) the parser is
 * taken off the socket. Both ways end in `joinStreams`: bytes flow both ways with backpressure until the target ends; either side may end
 * its half and still get the other's.
 */
export function startSession(session: NewSession): void {
  const { socket, upgraded, contentType, headers, stream, signal } = session;
  const head = upgraded
    ? ["HTTP/1.1 101 UPGRADED", `Content-Type: ${contentType}`, "Connection: Upgrade", "Upgrade: tcp"]
    : ["HTTP/1.1 200 OK", "Content-Type: application/vnd.docker.raw-stream"];
  const rest = headers.map(([name, value]) => `${name}: ${value}`);
  socket.write(`${[...head, ...rest].join("\r\n")}\r\n\r\n`, "latin1");
  joinStreams(socket, stream, signal);
}

interface NewSession {
  socket: Socket;
  /** 101, else 200. */
  upgraded: boolean;
  contentType: string;
  headers: [string, string][];
  stream: Duplex;
  /** Ends the session when the daemon stops. */
  signal: AbortSignal;
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
  // There is no public way (as of Node 24); http.test.ts pins that this one works. Without it stdin would be parsed as the next request.
  const { parser } = socket as Socket & { parser?: { unconsume(): void; remove(): void } | null };
  parser?.unconsume();
  parser?.remove();
  Object.assign(socket, { parser: null });
  for (const event of ["data", "end", "drain", "timeout", "error", "close"]) socket.removeAllListeners(event);
}

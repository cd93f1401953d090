import type { Socket } from "node:net";
import { EngineError, messageOf } from "../base/errors.ts";
import type { Log } from "../base/log.ts";
import {
  encodeError,
  encodeLine,
  LINE_LIMIT_BYTES,
  LineReader,
  PROTOCOL,
  versionProblem,
  type Hello,
  type Request,
  type WireEvent,
} from "./protocol.ts";

/** How long a new connection may take to say what it wants. */
const HELLO_LIMIT_MS = 10_000;

/** One control connection: answers requests, sends events. */
export interface ControlConnection {
  send(event: WireEvent): void;
}

/**
 * Reads a connection's first line and welcomes it, or says why not and ends it. Gives what was said, with the bytes that came after it;
 * undefined when the connection is gone.
 */
export async function greet(socket: Socket): Promise<{ hello: Hello; rest: Buffer } | undefined> {
  const received = await firstLine(socket);
  if (received === undefined) return undefined;
  let hello: Hello;
  try {
    hello = JSON.parse(received.line) as Hello; // ours on both ends, but for its version, which is looked at next
    const problem = versionProblem(PROTOCOL, hello.keeper);
    if (problem !== undefined) throw new EngineError("unavailable", problem);
    if (hello.role !== "control" && hello.role !== "attach") throw new EngineError("unimplemented", "this keeper knows no such connection");
  } catch (error) {
    socket.end(encodeLine({ error: encodeError(error) }));
    return undefined;
  }
  socket.write(encodeLine({ keeper: PROTOCOL, pid: process.pid }));
  return { hello, rest: received.rest };
}

/** Serves requests on a control connection until it closes. Requests run side by side. */
export function serveControl(
  socket: Socket,
  rest: Buffer,
  handle: (method: string, params: unknown) => Promise<unknown>,
  log: Log,
): ControlConnection {
  const reader = new LineReader();
  const answer = async (line: string): Promise<void> => {
    const { id, method, params } = JSON.parse(line) as Request; // ours on both ends; `handle` refuses what it does not know
    let reply: unknown;
    try {
      reply = { id, result: (await handle(method, params)) ?? null };
    } catch (error) {
      reply = { id, error: encodeError(error) };
    }
    if (!socket.destroyed) socket.write(encodeLine(reply));
  };
  const take = (chunk: Buffer): void => {
    try {
      for (const line of reader.feed(chunk)) {
        answer(line).catch((error: unknown) => {
          log.error({ error: messageOf(error) }, "a request of the daemon cannot be read");
          socket.destroy();
        });
      }
    } catch (error) {
      log.error({ error: messageOf(error) }, "a connection of the daemon is closed");
      socket.destroy();
    }
  };
  socket.on("end", () => socket.end());
  socket.on("data", take);
  if (rest.length > 0) take(rest);
  return { send: (event) => socket.write(encodeLine({ event })) };
}

function firstLine(socket: Socket): Promise<{ line: string; rest: Buffer } | undefined> {
  return new Promise((resolve) => {
    let received = Buffer.alloc(0);
    const limit = setTimeout(() => done(undefined), HELLO_LIMIT_MS);
    const onData = (chunk: Buffer): void => {
      received = Buffer.concat([received, chunk]);
      const end = received.indexOf(0x0a);
      if (end >= 0) done({ line: received.toString("utf8", 0, end), rest: received.subarray(end + 1) });
      else if (received.length > LINE_LIMIT_BYTES) done(undefined);
    };
    const onClose = (): void => done(undefined);
    const done = (result: { line: string; rest: Buffer } | undefined): void => {
      clearTimeout(limit);
      socket.pause();
      socket.off("data", onData);
      socket.off("end", onClose);
      socket.off("close", onClose);
      if (result === undefined) socket.destroy();
      resolve(result);
    };
    socket.on("data", onData);
    socket.on("end", onClose);
    socket.on("close", onClose);
  });
}

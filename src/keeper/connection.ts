import type { Socket } from "node:net";
import { EngineError, messageOf } from "../base/errors.ts";
import type { Log } from "../base/log.ts";
import {
  encodeError,
  encodeLine,
  LineReader,
  PROTOCOL,
  readFirstLine,
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

/** Reads a connection's first line and welcomes it, or says why not and ends it; then it gives undefined. */
export async function greet(socket: Socket): Promise<Hello | undefined> {
  const line = await readFirstLine(socket, HELLO_LIMIT_MS);
  if (line === undefined) {
    socket.destroy();
    return undefined;
  }
  let hello: Hello;
  try {
    hello = JSON.parse(line) as Hello; // ours on both ends, but for its version, which is looked at next
    const problem = versionProblem(PROTOCOL, hello.keeper);
    if (problem !== undefined) throw new EngineError("unavailable", problem);
    if (hello.role !== "control" && hello.role !== "attach") throw new EngineError("unimplemented", "this keeper knows no such connection");
  } catch (error) {
    socket.end(encodeLine({ error: encodeError(error) }));
    socket.resume();
    return undefined;
  }
  socket.write(encodeLine({ keeper: PROTOCOL, pid: process.pid }));
  return hello;
}

/** Serves requests on a control connection until it closes. Requests run side by side. */
export function serveControl(socket: Socket, handle: (method: string, params: unknown) => Promise<unknown>, log: Log): ControlConnection {
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
  return { send: (event) => socket.write(encodeLine({ event })) };
}

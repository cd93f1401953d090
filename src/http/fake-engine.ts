import { mkdtempSync, rmSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";

import pino from "pino";

import { API_VERSION, MIN_API_VERSION } from "../api/versions.ts";
import { openEvents } from "../engine/events/events.ts";
import type { Engine } from "./routes.ts";
import { openHttp } from "./server.ts";

/** For tests of this folder: a real server on a real unix socket, before an engine of which only the parts named exist. */
export interface TestServer {
  socketPath: string;
  engine: Engine;
  /** Lines that the server logged. */
  logged: string[];
  /** Writes `text` as it is and reads to the end, which a `Connection: close` in it brings. */
  raw(text: string): Promise<string>;
  connect(): Promise<RawClient>;
  [Symbol.asyncDispose](): Promise<void>;
}

export type PartialEngine = { [Part in keyof Engine]?: Partial<Engine[Part]> };

export async function openTestServer(parts: PartialEngine = {}): Promise<TestServer> {
  const folder = mkdtempSync(path.join(tmpdir(), "tsubo-http-"));
  const socketPath = path.join(folder, "api.sock");
  const logged: string[] = [];
  const engine = makeEngine(parts);
  const server = await openHttp({
    hosts: [`unix://${socketPath}`],
    engine,
    version: "1.2.3",
    log: pino({ level: "info" }, { write: (line: string) => void logged.push(line) }),
  });
  return {
    socketPath,
    engine,
    logged,
    connect: () => openRawClient({ path: socketPath }),
    async raw(text) {
      const client = await openRawClient({ path: socketPath });
      client.socket.write(text);
      return client.untilEnd();
    },
    async [Symbol.asyncDispose]() {
      await server[Symbol.asyncDispose]();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** A call of a part that the test did not give fails with its name. */
export function makeEngine(parts: PartialEngine): Engine {
  const part = (name: string, given: object): unknown =>
    new Proxy(given, {
      get(target, member) {
        const found: unknown = Reflect.get(target, member);
        if (found !== undefined) return found;
        return () => {
          throw new Error(`the test gave no ${name}.${String(member)}`);
        };
      },
    });
  const system = {
    version: async () => ({ Version: "1.2.3", ApiVersion: API_VERSION, MinAPIVersion: MIN_API_VERSION }),
    info: async () => ({ ID: "test" }),
    doctor: async () => ({ problems: [] }),
  };
  // Each proxy answers every member, by failing where the test gave none.
  return {
    containers: part("containers", parts.containers ?? {}),
    images: part("images", parts.images ?? {}),
    networks: part("networks", parts.networks ?? {}),
    events: openEvents(),
    system: part("system", { ...system, ...parts.system }),
  } as Engine;
}

export interface RawClient {
  socket: Socket;
  /** All that has come so far. */
  received(): string;
  /** Resolves once `text` has come; rejects when the connection ends before. */
  until(text: string): Promise<string>;
  /** Resolves with everything when the server has ended its half. */
  untilEnd(): Promise<string>;
}

export function openRawClient(address: { path: string } | { host: string; port: number }): Promise<RawClient> {
  return new Promise((resolve, reject) => {
    const socket = connect({ ...address, allowHalfOpen: true });
    let received = "";
    let ended = false;
    let changed: () => void = () => undefined;
    socket.setEncoding("latin1");
    socket.on("data", (chunk: string) => {
      received += chunk;
      changed();
    });
    for (const event of ["end", "close"]) {
      socket.on(event, () => {
        ended = true;
        changed();
      });
    }
    const waitFor = (isThere: () => boolean): Promise<string> =>
      new Promise((found, failed) => {
        changed = () => {
          if (isThere()) found(received);
          else if (ended) failed(new Error(`the connection ended after ${JSON.stringify(received)}`));
        };
        changed();
      });
    socket.on("error", reject);
    socket.once("connect", () =>
      resolve({
        socket,
        received: () => received,
        until: (text) => waitFor(() => received.includes(text)),
        async untilEnd() {
          await waitFor(() => ended);
          socket.end();
          return received;
        },
      }),
    );
  });
}

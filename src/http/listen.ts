import { readFile } from "node:fs/promises";
import { chmodSync, chownSync, lstatSync, unlinkSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { connect, type Server } from "node:net";
import path from "node:path";

import { codeOf, EngineError } from "../base/errors.ts";

/** Where the API is served: `unix:///run/tsubo/tsubo.sock` or `tcp://127.0.0.1:2375`. */
export type Host = { kind: "unix"; path: string } | { kind: "tcp"; address: string; port: number };

const DEFAULT_TCP_PORT = 2375;

export function parseHost(text: string): Host {
  const unix = /^unix:\/\/(\/.+)$/.exec(text) ?? /^(\/.+)$/.exec(text);
  if (unix !== null) return { kind: "unix", path: unix[1] ?? "" };
  const tcp = /^tcp:\/\/(\[[0-9a-fA-F:.]+\]|[\w.-]*)(?::(\d{1,5}))?\/?$/.exec(text);
  const port = Number(tcp?.[2] ?? DEFAULT_TCP_PORT);
  if (tcp === null || port > 65_535)
    throw new EngineError("invalid", `unable to parse the host ${JSON.stringify(text)}: use unix:///PATH or tcp://ADDRESS:PORT`);
  const address = (tcp[1] ?? "").replace(/^\[(.*)\]$/, "$1");
  return { kind: "tcp", address: address === "" ? "127.0.0.1" : address, port };
}

/** Binds the server to a host. Gives back the host with the port that was chosen. */
export async function listen(server: Server, host: Host, socketGroup: string): Promise<Host> {
  if (host.kind === "tcp") {
    await bind(server, () => server.listen({ host: host.address, port: host.port, backlog: 1024 }));
    const bound = server.address();
    return { ...host, port: typeof bound === "object" && bound !== null ? bound.port : host.port };
  }
  await mkdir(path.dirname(host.path), { recursive: true });
  await removeStaleSocket(host.path);
  // Node binds within the call of listen: nobody else can connect between bind and chmod.
  const mask = process.umask(0o177);
  const bound = bind(server, () => server.listen({ path: host.path, backlog: 1024 }));
  process.umask(mask);
  await bound;
  await openToGroup(host.path, socketGroup);
  return host;
}

function bind(server: Server, start: () => void): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.once("listening", () => {
      server.off("error", reject);
      resolve();
    });
    start();
  });
}

/** As Docker: root:docker 0660 where there is such a group, else root alone. */
async function openToGroup(socketPath: string, group: string): Promise<void> {
  const groupId = await findGroup(group);
  if (groupId !== undefined && process.getuid?.() === 0) chownSync(socketPath, 0, groupId);
  chmodSync(socketPath, 0o660);
}

async function findGroup(name: string): Promise<number | undefined> {
  if (/^\d+$/.test(name)) return Number(name);
  const groups = await readFile("/etc/group", "utf8").catch(() => "");
  const line = groups.split("\n").find((entry) => entry.startsWith(`${name}:`));
  return line === undefined ? undefined : Number(line.split(":")[2]);
}

/** A socket that nobody serves is what a daemon that crashed left behind; anything else is not ours to remove. */
async function removeStaleSocket(socketPath: string): Promise<void> {
  const found = lstatSync(socketPath, { throwIfNoEntry: false });
  if (found === undefined) return;
  if (!found.isSocket())
    throw new EngineError("conflict", `cannot listen on ${socketPath}: the file there is not a socket; remove it first`);
  if (await isServed(socketPath)) throw new EngineError("conflict", `cannot listen on ${socketPath}: another daemon already serves it`);
  unlinkSync(socketPath);
}

function isServed(socketPath: string): Promise<boolean> {
  return new Promise((resolve) => {
    const client = connect(socketPath);
    client.on("connect", () => {
      client.destroy();
      resolve(true);
    });
    // EAGAIN: its queue is full, so it is served.
    client.on("error", (error) => resolve(codeOf(error) === "EAGAIN"));
  });
}

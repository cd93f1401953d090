import { createServer, type IncomingMessage, type Server, ServerResponse } from "node:http";
import type { Socket } from "node:net";

import { API_VERSION, NEWEST, OLDEST, parseApiVersion } from "../api/versions.ts";
import { EngineError } from "../base/errors.ts";
import type { Log } from "../base/log.ts";
import { descriptorOf } from "../base/socket-descriptor.ts";
import { ClientGone, writeAnswer, writeError } from "./answer.ts";
import { openBody } from "./body.ts";
import type { Call, Route } from "./call.ts";
import { refuseBrowsers } from "./guard.ts";
import { seizeSocket, sessionHead, startSession, takeSocket } from "./hijack.ts";
import { type Host, listen, parseHost } from "./listen.ts";
import { parseQuery } from "./query.ts";
import { makeRouter, parseTarget, type Router, type Target } from "./router.ts";
import { type Engine, makeRoutes } from "./routes.ts";
import { readUpgradeBody } from "./upgrade.ts";

/**
 * The HTTP layer: bytes on one side, calls of the engine's interfaces on the other, and no opinion of its own.
 *
 *     server.ts   listeners, one request from its head to its end          listen.ts  sockets        guard.ts  web pages
 *     router.ts   path → row of the table                                  routes.ts  the table      routes/   one file per part
 *     call.ts     what a route sees and answers                            query.ts, body.ts         versions  shims.ts
 *     answer.ts   answers and errors → response                            status.ts  kind → status
 *     hijack.ts   a connection as stdio                                    upgrade.ts its body       progress.ts
 *
 * A route is a function from a `Call` to an `Answer`; it throws what went wrong. Everything that is the same for all of them happens here,
 * once: version, headers, body, abort, errors. State: the listeners and the open connections, nothing else.
 */
export interface HttpServer {
  /** Where it listens, with the ports that were chosen. */
  readonly hosts: readonly Host[];
  /** Stops listening, ends every stream and session, closes all connections. */
  [Symbol.asyncDispose](): Promise<void>;
}

export interface HttpOptions {
  /** `unix:///path` or `tcp://address:port`. */
  hosts: readonly string[];
  engine: Engine;
  log: Log;
  /** Our own version, for the header `Server`. */
  version: string;
  /** Who may use the unix sockets beside root. */
  socketGroup?: string;
  /** Further names under which a TCP listener may be addressed, and origins of web pages that may use it. */
  allowedNames?: readonly string[];
}

/** X-Registry-Config of a build with many registries is some 100 KiB; Go's limit is the same. */
const MAX_HEADER_BYTES = 1024 * 1024;
const HEADERS_TIMEOUT_MS = 60_000;
/** On TCP only: who may open the unix socket can do worse. */
const MAX_TCP_CONNECTIONS = 4096;
/** What is still being answered when the daemon stops gets this long. */
const CLOSE_GRACE_MS = 1000;

/** Serves the API on all hosts, or on none: when one cannot be listened on, the others are closed again. */
export async function openHttp(options: HttpOptions): Promise<HttpServer> {
  const hosts = options.hosts.map(parseHost);
  const connections = new Set<Socket>();
  const calls = new Set<AbortController>();
  const router = makeRouter(makeRoutes(options.engine));
  const servers: Server[] = [];
  const close = async (): Promise<void> => {
    const closed = servers.map(closeServer);
    for (const call of calls) call.abort();
    const cut = setTimeout(() => {
      for (const socket of connections) socket.destroy();
    }, CLOSE_GRACE_MS);
    await Promise.all(closed);
    clearTimeout(cut);
  };
  const bound: Host[] = [];
  try {
    for (const host of hosts) {
      const server = makeServer({ ...options, host, router, connections, calls });
      servers.push(server);
      bound.push(await listen(server, host, options.socketGroup ?? "docker"));
    }
  } catch (error) {
    await close();
    throw error;
  }
  return { hosts: bound, [Symbol.asyncDispose]: close };
}

interface Serving extends HttpOptions {
  host: Host;
  router: Router;
  connections: Set<Socket>;
  /** What is under way: aborted when the client goes, or all at once when the daemon stops. */
  calls: Set<AbortController>;
}

function makeServer(serving: Serving): Server {
  const server = createServer({
    maxHeaderSize: MAX_HEADER_BYTES,
    headersTimeout: HEADERS_TIMEOUT_MS,
    requestTimeout: 0,
    keepAliveTimeout: 0,
    noDelay: true,
    // Without this every `Upgrade` (curl --http2 sends one) would take the body away from Node's parser.
    shouldUpgradeCallback: (request) => findRoute(serving, request)?.upgrades === true,
  });
  server.timeout = 0;
  if (serving.host.kind === "tcp") server.maxConnections = MAX_TCP_CONNECTIONS;
  server.on("connection", (socket: Socket) => {
    serving.connections.add(socket);
    socket.once("close", () => serving.connections.delete(socket));
  });
  server.on("request", (request: IncomingMessage, response: ServerResponse) => void serve(serving, request, response));
  server.on("upgrade", (request: IncomingMessage, socket: Socket, head: Buffer) => {
    // A response of our own carries what is answered before the connection changes hands.
    const response = new ServerResponse(request);
    response.assignSocket(socket);
    response.shouldKeepAlive = false;
    response.on("finish", () => socket.destroySoon());
    socket.on("error", () => socket.destroy());
    void serve(serving, request, response, head);
  });
  return server;
}

/** From a request's head to its answer's end. Never rejects. `head`: it is an upgrade, and these bytes came after its head. */
async function serve(serving: Serving, request: IncomingMessage, response: ServerResponse, head?: Buffer): Promise<void> {
  const { socket } = request;
  const abort = new AbortController();
  const { signal } = abort;
  serving.calls.add(abort);
  const over = (): void => {
    serving.calls.delete(abort);
    if (!response.writableFinished) abort.abort();
  };
  response.on("close", over);
  response.on("error", () => undefined);
  // What is left of the body stands before the connection's next request.
  response.on("finish", () => request.resume());
  let target: Target | undefined;
  try {
    if (serving.host.kind === "tcp") refuseBrowsers(request.headers, serving.allowedNames ?? []);
    target = parseTarget(request.url ?? "/");
    if (target.redirect !== undefined) return redirect(response, target.redirect);
    const found = serving.router.find(request.method ?? "", target.path);
    if (found === undefined) throw new EngineError("notFound", "page not found");
    setApiHeaders(response, serving.version);
    const source = head === undefined ? request : await readUpgradeBody(request, socket, head);
    const call: Call = {
      version: checkVersion(target.versionText),
      name: found.name,
      query: parseQuery(target.query),
      headers: request.headers,
      body: openBody(request, source),
      isRaw: head !== undefined && descriptorOf(socket) !== undefined,
      signal,
    };
    const answer = await found.route.handle(call);
    if (answer.kind !== "session" && answer.kind !== "handOver") return await writeAnswer(response, answer);
    const upgraded = head !== undefined;
    const sessionHeader = sessionHead(upgraded, answer.contentType, headersOf(serving.version));
    if (answer.kind === "handOver") {
      await answer.handOver(() => ({ head: sessionHeader, ...seizeSocket(socket) }));
      // Our descriptor of it goes, the connection does not.
      socket.destroy();
      return;
    }
    if (upgraded) response.detachSocket(socket);
    else takeSocket(request, response);
    response.off("close", over);
    socket.on("close", over);
    startSession(socket, sessionHeader, answer.stream, signal);
  } catch (error) {
    if (error instanceof ClientGone || signal.aborted) response.destroy();
    else
      writeError(
        response,
        error,
        { what: `${request.method} ${target?.path ?? request.url}`, versionText: target?.versionText },
        serving.log,
      );
  }
}

function findRoute(serving: Serving, request: IncomingMessage): Route | undefined {
  try {
    return serving.router.find(request.method ?? "", parseTarget(request.url ?? "/").path)?.route;
  } catch {
    return undefined;
  }
}

function redirect(response: ServerResponse, location: string): void {
  response.writeHead(301, { Location: location, "Content-Length": 0 });
  response.end();
}

function checkVersion(text: string | undefined): number {
  if (text === undefined) return NEWEST;
  const version = parseApiVersion(text);
  if (version > NEWEST)
    throw new EngineError("invalid", `client version ${text} is too new. Maximum supported API version is ${API_VERSION}`);
  if (version < OLDEST) {
    const advice = "please upgrade your client to a newer version";
    throw new EngineError("invalid", `client version ${text} is too old. Minimum supported API version is 1.24, ${advice}`);
  }
  return version;
}

/** On whatever a route answers, also on its errors; not on a 404 for want of a route. */
function headersOf(version: string): [string, string][] {
  return [
    ["Api-Version", API_VERSION],
    ["Docker-Experimental", "false"],
    ["Ostype", "linux"],
    ["Server", `Tsubo/${version} (linux)`],
  ];
}

function setApiHeaders(response: ServerResponse, version: string): void {
  for (const [name, value] of headersOf(version)) response.setHeader(name, value);
}

function closeServer(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeIdleConnections();
  });
}

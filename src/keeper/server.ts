import { closeSync, mkdirSync, openSync, rmSync } from "node:fs";
import { createServer, type Server, Socket } from "node:net";
import { EngineError } from "../base/errors.ts";
import type { Log } from "../base/log.ts";
import { lockFile } from "../kernel/file-lock.ts";
import { createPipe } from "../kernel/fifo.ts";
import { copyDescriptor, openPidfd } from "../kernel/pidfd.ts";
import { openPoller } from "../kernel/poller.ts";
import { openReaper } from "../kernel/reaper.ts";
import { openRuntimes, type RuntimeWays } from "../kernel/runtime.ts";
import { adoptContainers } from "./adopt.ts";
import { Attachments } from "./attachments.ts";
import { BufferPool } from "./buffers.ts";
import { greet, serveControl, type ControlConnection } from "./connection.ts";
import { Containers } from "./containers.ts";
import { DescriptorSafe } from "./descriptor-safe.ts";
import type { KeeperEvent } from "./keeper.ts";
import type { KeeperContext, KeeperPlaces } from "./kept.ts";
import { compressByGzip } from "./log-compress.ts";
import { OomWatch } from "./oom.ts";
import { TURN_BYTES } from "./output.ts";
import { encodeEvent, type Methods } from "./protocol.ts";

/**
 * The keeper's own side: one process that listens on `keeper.sock` and holds containers.
 *
 * Words: a container is *kept* from its start until the daemon lets go of it (kept.ts); a keeper that starts *adopts* what an earlier one
 * left (adopt.ts). State: in memory, and in a `keeper.json` per bundle, written before anything is said to the daemon.
 *
 * Invariants: one keeper per exec root (a lock); an exit is on the disk before it is reported; nothing is taken from a container's pipe before
 * it is in the log; every child is reaped. The keeper never dies of a signal while it keeps anything, and ends by itself when it keeps nothing
 * and no daemon is connected.
 */
export interface KeeperServerOptions {
  places: KeeperPlaces;
  ways: RuntimeWays;
  log: Log;
  /** How long to stay without containers and daemons. */
  idleLimitMs?: number;
}

const IDLE_LIMIT_MS = 10_000;
const IDLE_BUFFERS = 8;

/** Runs the keeper; resolves when it may end. `"taken"`: another keeper serves this place already. */
export async function serveKeeper(options: KeeperServerOptions): Promise<"ended" | "taken"> {
  const { places, log } = options;
  const lock = lockFile(places.lock);
  if (lock === undefined) return "taken";
  for (const folder of [places.bundles, places.runtimeState, places.consoleSockets, places.seccompFilters, places.spill]) {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
  }
  const connections = new Set<ControlConnection>();
  const context = openContext(options, (event) => {
    const wire = encodeEvent(event);
    for (const connection of connections) connection.send(wire);
  });
  // Its thread would hold up the end of the process.
  using _poller = context.poller;
  const containers = new Containers(context);
  const adoption = await adoptContainers(context, containers);
  const descriptors = new DescriptorSafe();

  const end = Promise.withResolvers<void>();
  const idleLimitMs = options.idleLimitMs ?? IDLE_LIMIT_MS;
  let idleSinceMs = performance.now();
  const endWhenIdle = setInterval(
    () => {
      if (!containers.isEmpty || connections.size > 0) idleSinceMs = performance.now();
      else if (performance.now() - idleSinceMs >= idleLimitMs) end.resolve();
    },
    Math.min(idleLimitMs, 1000),
  );

  const handlers: { [M in keyof Methods]: (params: Methods[M]["params"]) => Methods[M]["result"] | Promise<Methods[M]["result"]> } = {
    startContainer: ({ spec }) => containers.start(spec),
    startExec: ({ spec }) => containers.startExec(spec),
    resize: ({ target, size }) => nothing(containers.resize(target, size)),
    signal: ({ target, signalNumber }) => containers.signal(target, signalNumber),
    pause: ({ containerId }) => containers.pause(containerId).then(nothing),
    unpause: ({ containerId }) => containers.unpause(containerId).then(nothing),
    forgetContainer: ({ containerId }) => containers.forget(containerId).then(nothing),
    handOver: (params) => nothing(takeOver(params)),
    list: () => containers.list(),
    report: (report) => nothing(adoption.settle(report)),
    acknowledge: ({ execs }) => nothing(containers.acknowledge(execs)),
    keepDescriptor: ({ name, daemonPid, descriptor }) => nothing(descriptors.keep(name, daemonPid, descriptor)),
    keptDescriptors: () => descriptors.list(),
    dropDescriptor: ({ name }) => nothing(descriptors.drop(name)),
    shutdown: () => {
      if (!containers.isEmpty) throw new EngineError("conflict", "the keeper holds containers: stop and remove them first");
      setImmediate(() => end.resolve());
      return null;
    },
  };
  const handle = async (method: string, params: unknown): Promise<unknown> => {
    if (!Object.hasOwn(handlers, method)) {
      throw new EngineError(
        "unimplemented",
        `this keeper does not know the request "${method}": it is of an earlier version than the daemon`,
      );
    }
    // The daemon's side is typed by the same table, of the same major version.
    const handler = handlers[method as keyof Methods] as (params: unknown) => unknown;
    return await handler(params);
  };

  const sockets = new Set<Socket>();
  const follow = (socket: Socket): void => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    socket.on("error", () => undefined); // "close" follows
  };
  const takeOver = ({ target, options: asked, daemonPid, descriptor, head, early }: Methods["handOver"]["params"]): void => {
    const socket = takeConnection(daemonPid, descriptor);
    follow(socket);
    socket.write(head);
    if (early !== "") socket.unshift(Buffer.from(early, "base64"));
    containers.attach(target, socket, asked);
  };
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    follow(socket);
    void serve(socket);
  });
  const serve = async (socket: Socket): Promise<void> => {
    const hello = await greet(socket);
    if (hello === undefined) return;
    if (hello.role === "attach") {
      containers.attach(hello.target, socket, hello.options);
      return;
    }
    const connection = serveControl(socket, handle, log);
    connections.add(connection);
    socket.on("close", () => {
      connections.delete(connection);
      if (connections.size > 0) return;
      context.attachments.endAll();
      descriptors.stopListening();
    });
    for (const event of containers.unreported()) connection.send(encodeEvent(event));
  };
  rmSync(places.socket, { force: true });
  await listen(server, places.socket);
  endAtSignal(containers, () => end.resolve(), log);
  log.info({ pid: process.pid, containers: containers.list().length }, "keeper is ready");

  await end.promise;
  clearInterval(endWhenIdle);
  server.close();
  rmSync(places.socket, { force: true });
  for (const socket of sockets) socket.destroy();
  closeSync(lock);
  log.info("keeper ends");
  return "ended";
}

function openContext(options: KeeperServerOptions, emit: (event: KeeperEvent) => void): KeeperContext {
  const { places, ways, log } = options;
  const reaper = openReaper();
  const nullDevice = openSync("/dev/null", "r+");
  return {
    log,
    places,
    reaper,
    poller: openPoller(),
    tools: { scratch: createPipe(), nullDevice, buffers: new BufferPool(TURN_BYTES, IDLE_BUFFERS) },
    compress: compressByGzip(reaper, nullDevice),
    attachments: new Attachments(),
    oom: new OomWatch((containerId) => emit({ type: "oom", containerId })),
    runtimeFor: openRuntimes({ reaper, stateRoot: places.runtimeState, seccompFolder: places.seccompFilters, ways }),
    emit,
  };
}

/** A client's connection, out of the daemon's hands. */
function takeConnection(daemonPid: number, descriptor: number): Socket {
  const daemon = openPidfd(daemonPid);
  try {
    return new Socket({ fd: copyDescriptor(daemon, descriptor), readable: true, writable: true, allowHalfOpen: true });
  } finally {
    closeSync(daemon);
  }
}

/** Listens on a socket that only root can use. */
async function listen(server: Server, socketPath: string): Promise<void> {
  const umask = process.umask(0o177);
  try {
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(socketPath, resolve);
    });
  } finally {
    process.umask(umask);
  }
}

/** Signals meant for a process group we are not part of do nothing; SIGTERM ends a keeper that keeps nothing. */
function endAtSignal(containers: Containers, end: () => void, log: Log): void {
  for (const name of ["SIGINT", "SIGHUP"] as const) process.on(name, () => undefined);
  process.on("SIGTERM", () => {
    if (containers.isEmpty) end();
    else log.warn("SIGTERM: the keeper holds containers and stays");
  });
}

function nothing(_done: unknown): null {
  return null;
}

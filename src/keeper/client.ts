import { closeSync } from "node:fs";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { EngineError, messageOf } from "../base/errors.ts";
import type { Log } from "../base/log.ts";
import { copyDescriptor, openPidfd } from "../kernel/pidfd.ts";
import { Holds } from "./client-holds.ts";
import type {
  AttachOptions,
  ClientConnection,
  ContainerSpec,
  ExecSpec,
  Keeper,
  KeeperEvent,
  KeptContainer,
  Target,
  TerminalSize,
} from "./keeper.ts";
import { connectOnce, connectOrLaunch, type LaunchOptions } from "./launch.ts";
import {
  decodeError,
  decodeEvent,
  decodeExit,
  encodeLine,
  LineReader,
  PROTOCOL,
  type FromKeeper,
  type Method,
  type Methods,
  type WireContainer,
  type WireEvent,
  type WireStarted,
} from "./protocol.ts";

/** How long to wait before the keeper is started again after that failed. */
const RESTART_PAUSE_MS = 1000;
const ATTACH_TRIES = 20;
const ATTACH_PAUSE_MS = 50;

export interface KeeperClientOptions extends LaunchOptions {
  log: Log;
}

export interface KeeperHandle extends Keeper {
  /** Asks the keeper to end; refused while it keeps a container. */
  shutdown(): Promise<void>;
}

/** Connects to the keeper of a place, starts it when there is none, and starts it again whenever it dies. */
export async function openKeeper(options: KeeperClientOptions): Promise<KeeperHandle> {
  const client = new KeeperClient(options);
  try {
    await client.connect();
  } catch (error) {
    await client[Symbol.asyncDispose]();
    throw error;
  }
  return client;
}

/** A connection that was lost with requests under way: they may have been carried out or not. */
class ConnectionLost extends EngineError {
  constructor() {
    super("unavailable", "the keeper died while it was at work; it is being started again");
  }
}

interface Connection {
  socket: Socket;
  keeperPidfd: number;
  pending: Map<number, { resolve: (result: unknown) => void; reject: (error: Error) => void }>;
  /** The keeper was told and has told us all; from now on its loss is ours to mend. */
  established: boolean;
}

class KeeperClient implements KeeperHandle {
  readonly #options: KeeperClientOptions;
  readonly #holds: Holds;
  /** What a keeper is to keep. */
  readonly #descriptors = new Map<string, number>();
  readonly #closing = new AbortController();
  #connection: Promise<Connection> | undefined;
  #nextId = 1;
  #listener: ((event: KeeperEvent) => void) | undefined;
  #unheard: KeeperEvent[] = [];

  constructor(options: KeeperClientOptions) {
    this.#options = options;
    this.#holds = new Holds(options.log);
  }

  async connect(): Promise<void> {
    this.#connection = this.#open(this.#options);
    await this.#connection;
  }

  async startContainer(spec: ContainerSpec, signal?: AbortSignal): Promise<{ pid: number; startedAtNs: bigint }> {
    signal?.throwIfAborted();
    const started = await this.#start("startContainer", { spec }, { containerId: spec.id });
    return { pid: started.pid, startedAtNs: BigInt(started.startedAtNs) };
  }

  async startExec(spec: ExecSpec, signal?: AbortSignal): Promise<{ pid: number }> {
    signal?.throwIfAborted();
    const { containerId, execId } = spec;
    return { pid: (await this.#start("startExec", { spec }, { containerId, execId })).pid };
  }

  async attach(target: Target, { stdin, stdout, stderr }: AttachOptions): Promise<Duplex> {
    for (let tries = 0; tries < ATTACH_TRIES; tries += 1) {
      await this.#connection;
      const options = { stdin, stdout, stderr };
      const greeted = await connectOnce(this.#options.socketPath, { keeper: PROTOCOL, role: "attach", target, options });
      if (greeted !== undefined) return greeted.socket;
      await new Promise((resolve) => setTimeout(resolve, ATTACH_PAUSE_MS));
    }
    throw new EngineError("unavailable", "the keeper does not take the connection; try again");
  }

  async handOver(target: Target, { stdin, stdout, stderr }: AttachOptions, connection: ClientConnection): Promise<void> {
    const { descriptor, head, early } = connection;
    const options = { stdin, stdout, stderr };
    const params = { target, options, daemonPid: process.pid, descriptor, head, early: early.toString("base64") };
    // Not a request that may be sent twice.
    await this.#send(await this.#connected(), "handOver", params);
  }

  async resize(target: Target, size: TerminalSize): Promise<void> {
    await this.#request("resize", { target, size });
  }

  async signal(target: Target, signalNumber: number): Promise<boolean> {
    return await this.#request("signal", { target, signalNumber });
  }

  async pause(containerId: string): Promise<void> {
    await this.#request("pause", { containerId });
  }

  async unpause(containerId: string): Promise<void> {
    await this.#request("unpause", { containerId });
  }

  async forgetContainer(containerId: string): Promise<void> {
    await this.#request("forgetContainer", { containerId });
  }

  async list(): Promise<KeptContainer[]> {
    return (await this.#request("list", {})).map(decodeContainer);
  }

  async keepDescriptor(name: string, descriptor: number): Promise<void> {
    this.#descriptors.set(name, descriptor);
    await this.#keep(await this.#connected(), name, descriptor);
  }

  async takeDescriptors(): Promise<Map<string, number>> {
    const connection = await this.#connected();
    const kept = await ifKnown(this.#send(connection, "keptDescriptors", {}), []);
    return new Map(kept.map(({ name, descriptor }) => [name, copyDescriptor(connection.keeperPidfd, descriptor)]));
  }

  async dropDescriptor(name: string): Promise<void> {
    this.#descriptors.delete(name);
    await ifKnown(this.#request("dropDescriptor", { name }), null);
  }

  subscribe(listener: (event: KeeperEvent) => void): void {
    this.#listener = listener;
    for (const event of this.#unheard.splice(0)) this.#tell(event);
  }

  async shutdown(): Promise<void> {
    await this.#request("shutdown", {});
    // Its end is wanted, not to be mended.
    this.#closing.abort();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort();
    try {
      (await this.#connection)?.socket.destroy();
    } catch {
      // It never came about.
    }
    this.#holds.releaseAll();
  }

  /** A start whose answer was lost may have come about: the next keeper knows. */
  async #start<M extends "startContainer" | "startExec">(method: M, params: Methods[M]["params"], target: Target): Promise<WireStarted> {
    try {
      const connection = await this.#connected();
      const started = await this.#send(connection, method, params);
      this.#holds.take(target, started, connection.keeperPidfd);
      return started;
    } catch (error) {
      if (!(error instanceof ConnectionLost)) throw error;
      const connection = await this.#connected();
      const kept = (await this.#send(connection, "list", {})).find(({ id }) => id === target.containerId);
      const found = target.execId === undefined ? kept : kept?.execs.find(({ id }) => id === target.execId);
      if (found === undefined) throw error;
      return found.started;
    }
  }

  /** A request that can be sent twice. */
  async #request<M extends Method>(method: M, params: Methods[M]["params"]): Promise<Methods[M]["result"]> {
    try {
      return await this.#send(await this.#connected(), method, params);
    } catch (error) {
      if (!(error instanceof ConnectionLost)) throw error;
      return await this.#send(await this.#connected(), method, params);
    }
  }

  async #connected(): Promise<Connection> {
    if (this.#closing.signal.aborted || this.#connection === undefined) {
      throw new EngineError("unavailable", "the connection to the keeper is closed");
    }
    return await this.#connection;
  }

  #send<M extends Method>(connection: Connection, method: M, params: Methods[M]["params"]): Promise<Methods[M]["result"]> {
    return new Promise((resolve, reject) => {
      if (connection.socket.destroyed) {
        reject(new ConnectionLost());
        return;
      }
      const id = this.#nextId;
      this.#nextId += 1;
      // The keeper answers a method with its own kind of result.
      connection.pending.set(id, { resolve: resolve as (result: unknown) => void, reject });
      connection.socket.write(encodeLine({ id, method, params }));
    });
  }

  async #open(options: LaunchOptions): Promise<Connection> {
    const { socket, keeperPid } = await connectOrLaunch(options, { keeper: PROTOCOL, role: "control" }, this.#closing.signal);
    const connection: Connection = { socket, keeperPidfd: openPidfd(keeperPid), pending: new Map(), established: false };
    const reader = new LineReader();
    socket.on("data", (chunk: Buffer) => {
      try {
        for (const line of reader.feed(chunk)) this.#receive(connection, JSON.parse(line) as FromKeeper); // same major version
      } catch (error) {
        this.#options.log.error({ error: messageOf(error) }, "the keeper's answer cannot be read");
        socket.destroy();
      }
    });
    socket.on("error", () => undefined); // "close" follows
    socket.on("end", () => socket.destroy());
    socket.on("close", () => this.#lost(connection));
    await this.#send(connection, "report", await this.#holds.report());
    for (const container of await this.#send(connection, "list", {})) this.#hold(container, connection.keeperPidfd);
    for (const [name, descriptor] of this.#descriptors)
      await this.#keep(connection, name, descriptor).catch((error: unknown) => {
        this.#options.log.warn({ name, error: messageOf(error) }, "the keeper does not keep a descriptor");
      });
    if (socket.destroyed) throw new ConnectionLost();
    connection.established = true;
    return connection;
  }

  async #keep(connection: Connection, name: string, descriptor: number): Promise<void> {
    await ifKnown(this.#send(connection, "keepDescriptor", { name, daemonPid: process.pid, descriptor }), null);
  }

  #lost(connection: Connection): void {
    closeSync(connection.keeperPidfd);
    for (const { reject } of connection.pending.values()) reject(new ConnectionLost());
    connection.pending.clear();
    if (this.#closing.signal.aborted || !connection.established) return;
    this.#options.log.warn("the keeper is gone; starting it again");
    this.#connection = this.#reopen();
    this.#connection.catch(() => undefined); // told to whoever waits for it
  }

  async #reopen(): Promise<Connection> {
    for (;;) {
      try {
        return await this.#open({ ...this.#options, unarmed: true });
      } catch (error) {
        if (this.#closing.signal.aborted) throw error;
        this.#options.log.error({ error: messageOf(error) }, "the keeper cannot be started");
      }
      await new Promise((resolve) => setTimeout(resolve, RESTART_PAUSE_MS));
    }
  }

  #hold(container: WireContainer, keeperPidfd: number): void {
    const { id: containerId, exit, execs } = container;
    if (exit !== undefined) return;
    this.#holds.take({ containerId }, container.started, keeperPidfd);
    for (const exec of execs) if (exec.exit === undefined) this.#holds.take({ containerId, execId: exec.id }, exec.started, keeperPidfd);
  }

  #receive(connection: Connection, message: FromKeeper): void {
    if ("event" in message) {
      this.#take(connection, message.event);
      return;
    }
    const pending = connection.pending.get(message.id);
    connection.pending.delete(message.id);
    if ("error" in message) pending?.reject(decodeError(message.error));
    else pending?.resolve(message.result);
  }

  #take(connection: Connection, wire: WireEvent): void {
    const event = decodeEvent(wire);
    if (event.type === "exit") this.#holds.release(event);
    if (event.type === "execExit") {
      this.#holds.release(event);
      const { containerId, execId } = event;
      this.#send(connection, "acknowledge", { execs: [{ containerId, execId }] }).catch(() => undefined); // it is told again
    }
    if (this.#listener === undefined) this.#unheard.push(event);
    else this.#tell(event);
  }

  #tell(event: KeeperEvent): void {
    try {
      this.#listener?.(event);
    } catch (error) {
      this.#options.log.error({ error: messageOf(error), event: event.type }, "an event of the keeper was not taken note of");
    }
  }
}

/** What a keeper of an earlier version says to a request that it does not know. */
async function ifKnown<T>(answer: Promise<T>, otherwise: T): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof EngineError && error.kind === "unimplemented") return otherwise;
    throw error;
  }
}

function decodeContainer({ id, started, exit, execs }: WireContainer): KeptContainer {
  return {
    id,
    pid: started.pid,
    startedAtNs: BigInt(started.startedAtNs),
    exit: exit && decodeExit(exit),
    execs: execs.map((exec) => ({ id: exec.id, pid: exec.started.pid, exit: exec.exit && decodeExit(exec.exit), memo: exec.memo })),
  };
}

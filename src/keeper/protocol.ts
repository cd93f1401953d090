import type { Socket } from "node:net";
import { EngineError, messageOf, type ErrorKind } from "../base/errors.ts";
import type { AttachOptions, ContainerSpec, ExecSpec, Exit, KeeperEvent, Target, TerminalSize } from "./keeper.ts";

/**
 * The protocol between daemon and keeper, over the unix socket `keeper.sock`.
 *
 * Every connection opens with one line of JSON from the daemon (a Hello) and one from the keeper (a Welcome). On a control connection
 * lines of JSON follow: requests with a number from the daemon; replies with that number, and events, from the keeper. On an attach
 * connection the bytes of the target follow, raw, both ways.
 *
 * A daemon meets the keeper that an earlier version of it has left. The major number must be the same; with another minor number both
 * go on: a method the keeper does not know is answered with `unimplemented`, fields it does not know are passed over, and new
 * fields of replies are optional to the daemon.
 */
export const PROTOCOL = { major: 1, minor: 1 } as const;

/** A line longer than this is no message of ours. */
export const LINE_LIMIT_BYTES = 8 * 1024 * 1024;

export interface Version {
  major: number;
  minor: number;
}

export type Hello = { keeper: Version } & ({ role: "control" } | { role: "attach"; target: Target; options: AttachOptions });
export type Welcome = { keeper: Version; pid: number } | { error: WireError };

/** Methods with what they take and give. */
export interface Methods {
  startContainer: { params: { spec: ContainerSpec }; result: WireStarted };
  startExec: { params: { spec: ExecSpec }; result: WireStarted };
  resize: { params: { target: Target; size: TerminalSize }; result: null };
  signal: { params: { target: Target; signalNumber: number }; result: boolean };
  pause: { params: { containerId: string }; result: null };
  unpause: { params: { containerId: string }; result: null };
  forgetContainer: { params: { containerId: string }; result: null };
  /** The keeper copies the descriptor out of the daemon. `early` is base64. */
  handOver: {
    params: { target: Target; options: AttachOptions; daemonPid: number; descriptor: number; head: string; early: string };
    result: null;
  };
  list: { params: Record<string, never>; result: WireContainer[] };
  /**
   * First thing on a connection: how those ended that the daemon holds a pidfd for, and its descriptors of their terminals. With it a new
   * keeper settles what it found.
   */
  report: {
    params: {
      daemonPid: number;
      ended: { target: Target; pid: number; waitStatus: number }[];
      terminals: { target: Target; descriptor: number }[];
    };
    result: null;
  };
  /** The daemon has taken note of these exec exits. */
  acknowledge: { params: { execs: { containerId: string; execId: string }[] }; result: null };
  /** The keeper copies the descriptor out of the daemon and keeps it under that name. */
  keepDescriptor: { params: { name: string; daemonPid: number; descriptor: number }; result: null };
  /** The keeper's own, for the daemon to copy. */
  keptDescriptors: { params: Record<string, never>; result: { name: string; descriptor: number }[] };
  dropDescriptor: { params: { name: string }; result: null };
  /** Asks the keeper to end; refused while it keeps a container. */
  shutdown: { params: Record<string, never>; result: null };
}
export type Method = keyof Methods;

export interface Request {
  id: number;
  method: string;
  params: unknown;
}
export type Reply = { id: number; result: unknown } | { id: number; error: WireError };
export type FromKeeper = Reply | { event: WireEvent };

export interface WireError {
  kind: ErrorKind;
  message: string;
}

/** What is held of a target that runs: enough to hold its process and its output too. */
export interface WireStarted {
  pid: number;
  startTicks: string;
  startedAtNs: string;
  /** Output FIFOs, for the daemon to hold open. */
  fifos: string[];
  /** The keeper's descriptor of the pty's master, for the daemon to copy. */
  terminal: number | undefined;
}

export interface WireContainer {
  id: string;
  started: WireStarted;
  exit: WireExit | undefined;
  execs: { id: string; started: WireStarted; exit: WireExit | undefined; memo: string }[];
}

/** Nanoseconds as decimal text: JSON's numbers do not hold them. */
export type WireExit = Omit<Exit, "finishedAtNs"> & { finishedAtNs: string };
export type WireEvent =
  | { type: "exit"; containerId: string; exit: WireExit }
  | { type: "execExit"; containerId: string; execId: string; exit: WireExit }
  | { type: "oom"; containerId: string };

export function encodeExit(exit: Exit): WireExit {
  return { ...exit, finishedAtNs: String(exit.finishedAtNs) };
}

export function decodeExit(exit: WireExit): Exit {
  const { exitCode, oomKilled, error } = exit;
  return { exitCode, oomKilled, finishedAtNs: BigInt(exit.finishedAtNs), ...(error === undefined ? {} : { error }) };
}

export function encodeEvent(event: KeeperEvent): WireEvent {
  return event.type === "oom" ? event : { ...event, exit: encodeExit(event.exit) };
}

export function decodeEvent(event: WireEvent): KeeperEvent {
  return event.type === "oom" ? event : { ...event, exit: decodeExit(event.exit) };
}

export function encodeError(error: unknown): WireError {
  return { kind: error instanceof EngineError ? error.kind : "system", message: messageOf(error) };
}

export function decodeError(error: WireError): EngineError {
  return new EngineError(error.kind, error.message);
}

/** One message as it goes over the wire. */
export function encodeLine(message: unknown): string {
  return `${JSON.stringify(message)}\n`;
}

/** Why two versions cannot talk; undefined when they can. */
export function versionProblem(keeper: Version, daemon: Version): string | undefined {
  if (keeper.major === daemon.major) return undefined;
  return (
    `the keeper speaks protocol ${keeper.major}.${keeper.minor}, this daemon ${daemon.major}.${daemon.minor}: ` +
    "stop the containers with the daemon that started them, then start this one"
  );
}

/** Cuts incoming bytes into lines. */
export class LineReader {
  #parts: Buffer[] = [];
  #sizeBytes = 0;

  /** Gives the whole lines that end in `chunk`. Throws when a line is longer than any message. */
  feed(chunk: Buffer): string[] {
    const lines: string[] = [];
    let start = 0;
    for (let end = chunk.indexOf(0x0a); end >= 0; end = chunk.indexOf(0x0a, start)) {
      lines.push(Buffer.concat([...this.#parts, chunk.subarray(start, end)]).toString("utf8"));
      this.#parts = [];
      this.#sizeBytes = 0;
      start = end + 1;
    }
    if (start < chunk.length) {
      this.#parts.push(chunk.subarray(start));
      this.#sizeBytes += chunk.length - start;
      if (this.#sizeBytes > LINE_LIMIT_BYTES) throw new EngineError("invalid", "keeper protocol: a line is too long");
    }
    return lines;
  }
}

/**
 * Reads a connection's first line; what came after it can be read from the socket. Undefined: there was none in time, or the connection ended.
 * Reads without making the socket flow or pausing it, so that whoever listens next finds it as new.
 */
export function readFirstLine(socket: Socket, limitMs: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    let received: Buffer = Buffer.alloc(0);
    const done = (line: string | undefined): void => {
      clearTimeout(limit);
      socket.off("readable", onReadable);
      socket.off("end", onEnd);
      socket.off("close", onEnd);
      resolve(line);
    };
    const onReadable = (): void => {
      for (let chunk = readChunk(socket); chunk !== null; chunk = readChunk(socket)) {
        received = Buffer.concat([received, chunk]);
        const end = received.indexOf(0x0a);
        if (end < 0 && received.length <= LINE_LIMIT_BYTES) continue;
        if (end >= 0 && end + 1 < received.length) socket.unshift(received.subarray(end + 1));
        done(end < 0 ? undefined : received.toString("utf8", 0, end));
        return;
      }
    };
    const onEnd = (): void => done(undefined);
    const limit = setTimeout(onEnd, limitMs);
    socket.on("readable", onReadable);
    socket.on("end", onEnd);
    socket.on("close", onEnd);
  });
}

function readChunk(socket: Socket): Buffer | null {
  // A socket without an encoding gives Buffers; Node's types say `any`.
  return socket.read() as Buffer | null;
}

import type { Duplex } from "node:stream";

import type { ContainerConfig, CreateBody, EndpointSettings, ExecConfig, ExecStart } from "../../api/container-config.ts";
import type { ClientConnection } from "../../keeper/keeper.ts";
import type { StepRequest } from "./run-step.ts";
import type { PathStat } from "../../store/archive/find.ts";
import type { LayerChange } from "../../store/layers.ts";
import type { LogsRequest } from "../logs/logs.ts";

/**
 * Containers: the verbs of the Engine API, as the HTTP layer calls them. One file per verb beside this one.
 *
 * A container is named by its id, its name (with or without the slash) or an unambiguous prefix of its id. Every change goes through one
 * lock per container, is durable in the database before it is answered, and is announced as an event after that. The kernel objects of a
 * running container (mount, network namespace, cgroup, process) belong to the keeper and to names derived from its id, so that a daemon
 * that comes up finds them (`restore.ts`).
 */
export interface Containers {
  create(
    body: CreateBody,
    options: { name: string | undefined; platform: string | undefined },
  ): Promise<{ Id: string; Warnings: string[] }>;
  /** `unchanged` when it runs. */
  start(name: string): Promise<void>;
  /** `unchanged` when it does not run. Undefined timeout: the container's own, then 10 s; -1: wait for ever. */
  stop(name: string, options: { signal: string | undefined; timeoutSeconds: number | undefined }, signal?: AbortSignal): Promise<void>;
  restart(name: string, options: { signal: string | undefined; timeoutSeconds: number | undefined }, signal?: AbortSignal): Promise<void>;
  kill(name: string, signalName: string | undefined): Promise<void>;
  pause(name: string): Promise<void>;
  unpause(name: string): Promise<void>;
  rename(name: string, newName: string): Promise<void>;
  remove(name: string, options: { force: boolean; volumes: boolean; link: boolean }): Promise<void>;
  /** Puts it on a network, now where it runs, else from its next start on. */
  connectNetwork(network: string, name: string, settings: EndpointSettings | undefined): Promise<void>;
  disconnectNetwork(network: string, name: string, force: boolean): Promise<void>;
  prune(filters: Map<string, string[]>): Promise<{ ContainersDeleted: string[] | null; SpaceReclaimed: number }>;

  /** Resolves with the waiting itself once it is armed: the HTTP layer flushes its headers then, before the end is known. */
  wait(name: string, condition: "not-running" | "next-exit" | "removed", signal?: AbortSignal): { ended: Promise<WaitResult> };

  /** Makes an image of it; its id. */
  commit(name: string, request: CommitRequest, signal?: AbortSignal): Promise<string>;
  /** What it has changed of what it was made from. */
  changes(name: string, signal?: AbortSignal): Promise<LayerChange[]>;
  /** Its whole tree as a tar. */
  export(name: string, signal?: AbortSignal): Promise<AsyncIterable<Uint8Array>>;
  /** What is at a path, as the container sees it. */
  statPath(name: string, path: string, signal?: AbortSignal): Promise<PathStat>;
  /** The same, with all that is in it as a tar. */
  readArchive(name: string, path: string, signal?: AbortSignal): Promise<{ stat: PathStat; pieces: AsyncIterable<Uint8Array> }>;
  writeArchive(name: string, target: ArchiveTarget, archive: AsyncIterable<Uint8Array>, signal?: AbortSignal): Promise<void>;

  /** Sorted newest first, in the shape of `GET /containers/json`. */
  list(options: ListOptions): Promise<Record<string, unknown>[]>;
  /** The shape of `GET /containers/{id}/json`. */
  inspect(name: string, options: { size: boolean }): Promise<Record<string, unknown>>;
  top(name: string, psArguments: string): Promise<{ Titles: string[]; Processes: string[][] }>;
  resize(name: string, size: { rows: number; columns: number }): Promise<void>;

  /** Whether output is raw (tty) must be known before the answer's head is written. */
  attach(name: string, options: AttachRequest): Promise<Session>;
  logs(name: string, options: LogsRequest, signal?: AbortSignal): Promise<{ tty: boolean; frames: AsyncIterable<Uint8Array> }>;

  /** Runs a process of a build to its end: a container without a record. Kills it when the signal aborts. */
  runStep(request: StepRequest, signal: AbortSignal): Promise<{ exitCode: number; oomKilled: boolean }>;

  execCreate(name: string, config: ExecConfig): Promise<{ Id: string }>;
  /** Attached start: the session carries the exec's stdio. */
  execStart(execId: string, options: ExecStart & { canHandOver: boolean }): Promise<Session | undefined>;
  execInspect(execId: string): Record<string, unknown>;
  execResize(execId: string, size: { rows: number; columns: number }): Promise<void>;
}

/**
 * A client joined to a target's stdio, in one of two ways. `stream` reads wire format (8-byte-header frames, or raw bytes on a tty) and
 * takes stdin; its end is the target's end; the HTTP layer pipes it to the socket. `handOver` takes the socket itself.
 */
export type Session = { tty: boolean } & ({ stream: Duplex } | { handOver: HandOver });

/** `seize` stops the reading of the connection, once it is sure that it is given away; it throws when the client is gone. */
export type HandOver = (seize: () => ClientConnection) => Promise<void>;

export type { PathStat };
export type { ClientConnection } from "../../keeper/keeper.ts";

export interface CommitRequest {
  author: string;
  comment: string;
  /** Dockerfile instructions that only change the config. */
  changes: string[];
  /** In place of the container's own. */
  config: ContainerConfig | undefined;
  pause: boolean;
  /** The image's name, in full form and as people see it. */
  reference: string | undefined;
  shownReference: string;
}

/** Where an archive is unpacked. */
export interface ArchiveTarget {
  path: string;
  /** A folder takes no file's place, nor a file a folder's. */
  keepKinds: boolean;
  /** All of it is the user's that the container runs as. */
  ownedByUser: boolean;
}

export interface AttachRequest {
  logs: boolean;
  stream: boolean;
  stdin: boolean;
  stdout: boolean;
  stderr: boolean;
  /** Undefined: ctrl-p,ctrl-q. */
  detachKeys: string | undefined;
  /** The caller can give the client's connection away. */
  canHandOver: boolean;
}

export interface ListOptions {
  all: boolean;
  limit: number | undefined;
  size: boolean;
  filters: Map<string, string[]>;
}

export interface WaitResult {
  exitCode: number;
  error: string | undefined;
}

import { rmSync } from "node:fs";
import path from "node:path";
import { messageOf } from "../base/errors.ts";
import { failpoint } from "../base/failpoint.ts";
import type { Log } from "../base/log.ts";
import { nowNs } from "../base/time.ts";
import type { Poller } from "../kernel/poller.ts";
import type { Reaper } from "../kernel/reaper.ts";
import type { Runtime } from "../kernel/runtime.ts";
import { exitCodeOf } from "../kernel/wait-status.ts";
import type { Attachments } from "./attachments.ts";
import type { ContainerSpec, Exit, KeeperEvent, RuntimeChoice } from "./keeper.ts";
import type { KeptProcess } from "./kept-process.ts";
import type { Compress } from "./log-compress.ts";
import { LogWriter } from "./log-writer.ts";
import type { OomWatch } from "./oom.ts";
import type { OutputTools } from "./output.ts";
import { encodeExit, type WireContainer, type WireStarted } from "./protocol.ts";
import { writeExit, writeRecord, type ContainerRecord } from "./record.ts";
import { fifoPaths } from "./stdio.ts";
import type { TargetIo } from "./target-io.ts";

/**
 * What the keeper holds of a container and of its execs, and what happens when their processes end.
 *
 * A container is *kept* from the moment its process runs until the daemon lets go of it; it is either running (`exit` undefined) or ended.
 * An exit is made durable at once, but set, recorded and reported, in this order, only when all output is in the log.
 */
export interface KeptContainer {
  spec: ContainerSpec;
  runtime: Runtime;
  process: KeptProcess;
  io: TargetIo;
  exit: Exit | undefined;
  execs: Map<string, KeptExec>;
  /** The removal of its cgroups and state, begun when it ended. */
  removal: Promise<void> | undefined;
}

export interface KeptExec {
  id: string;
  process: KeptProcess;
  io: TargetIo;
  tty: boolean;
  exit: Exit | undefined;
  /** The daemon's. */
  memo: string;
  /** The daemon has taken note of the exit. */
  acknowledged: boolean;
}

/** What every part of the keeper works with. */
export interface KeeperContext {
  log: Log;
  places: KeeperPlaces;
  reaper: Reaper;
  poller: Poller;
  tools: OutputTools;
  /** For logs that were rotated. */
  compress: Compress;
  attachments: Attachments;
  oom: OomWatch;
  runtimeFor(choice: RuntimeChoice): Promise<Runtime>;
  emit(event: KeeperEvent): void;
}

/** The folders the keeper uses; the composition root names them. */
export interface KeeperPlaces {
  /** The protocol's socket. */
  socket: string;
  /** Held while a keeper runs, so that there is never a second one. */
  lock: string;
  /** A folder per container that runs: the OCI bundle, with our FIFOs and record. */
  bundles: string;
  /** The OCI runtimes' `--root`. */
  runtimeState: string;
  /** Console sockets: a short path. */
  consoleSockets: string;
  /** Compiled seccomp filters. */
  seccompFilters: string;
  /** On a disk, for what slow clients have not read yet. */
  spill: string;
}

/** Ended execs that are remembered for the daemon; the oldest go first. */
const ENDED_EXECS_LIMIT = 64;

/** Waits for a container's end and does what is due then. Never rejects. */
export async function settleContainer(context: KeeperContext, kept: KeptContainer): Promise<void> {
  const { spec, process } = kept;
  const waitStatus = await process.ended;
  const finishedAtNs = nowNs();
  const oomKilled = context.oom.finish(spec.id, spec.cgroupsPath);
  const exit = process.recordedExit ?? exitOf(waitStatus, finishedAtNs, oomKilled);
  // An exit file beside a record without exit: the next keeper has to log the rest.
  await Promise.all([
    attempt(context, kept, "cannot read its output to the end", () => kept.io.drain()).then(() => kept.io.end()),
    attempt(context, kept, "cannot record its exit", async () => {
      failpoint("keeper.exit.seen");
      await writeExit(spec, process.record, exit);
    }),
  ]);
  kept.exit = exit;
  await attempt(context, kept, "cannot write its record", () => {
    failpoint("keeper.exit.recorded");
    writeRecord(recordOf(kept));
  });
  context.emit({ type: "exit", containerId: spec.id, exit });
  kept.removal = kept.runtime.remove(spec);
  kept.removal.catch((error: unknown) =>
    context.log.warn({ container: spec.id, error: messageOf(error) }, "a container is not removed yet"),
  );
}

/** The same for an exec. */
export async function settleExec(context: KeeperContext, kept: KeptContainer, exec: KeptExec): Promise<void> {
  const waitStatus = await exec.process.ended;
  const exit = exitOf(waitStatus, nowNs(), false);
  await attempt(context, kept, "cannot read an exec's output to the end", () => exec.io.drain());
  exec.exit = exit;
  forgetOldExecs(kept);
  await attempt(context, kept, "cannot write its record", () => writeRecord(recordOf(kept)));
  context.emit({ type: "execExit", containerId: kept.spec.id, execId: exec.id, exit });
  // A client that has seen the end asks the daemon for the exit code next: the daemon is told first.
  exec.io.end();
  rmSync(execFolder(kept.spec, exec.id), { recursive: true, force: true });
}

export function exitOf(waitStatus: number | undefined, finishedAtNs: bigint, oomKilled: boolean): Exit {
  if (waitStatus !== undefined) return { exitCode: exitCodeOf(waitStatus), finishedAtNs, oomKilled };
  return {
    exitCode: 255,
    finishedAtNs,
    oomKilled,
    error: "the exit status is unknown: the process ended while neither the daemon nor the keeper ran",
  };
}

export function openContainerLog(context: KeeperContext, spec: ContainerSpec): LogWriter | undefined {
  return spec.log.driver === "json-file" ? new LogWriter(spec.log, markFile(spec), context.log, context.compress) : undefined;
}

export function markFile(spec: ContainerSpec): string {
  return path.join(spec.bundlePath, "log.mark");
}

export function execFolder(spec: ContainerSpec, execId: string): string {
  return path.join(spec.bundlePath, "execs", execId);
}

/** What is told to the daemon of a target that runs. */
export function startedOf(target: { process: KeptProcess; io: TargetIo }, folder: string): WireStarted {
  const { pid, startTicks, startedAtNs } = target.process.record;
  const { stdout, stderr } = fifoPaths(folder);
  const { terminal } = target.io;
  return { pid, startTicks, startedAtNs, terminal, fifos: terminal === undefined ? [stdout, stderr] : [] };
}

export function describe(kept: KeptContainer): WireContainer {
  const { spec, exit } = kept;
  return {
    id: spec.id,
    started: startedOf(kept, spec.bundlePath),
    exit: exit && encodeExit(exit),
    execs: [...kept.execs.values()].map((exec) => ({
      id: exec.id,
      started: startedOf(exec, execFolder(spec, exec.id)),
      exit: exec.exit && encodeExit(exec.exit),
      memo: exec.memo,
    })),
  };
}

export function recordOf(kept: KeptContainer): ContainerRecord {
  const execs: ContainerRecord["execs"] = {};
  for (const exec of kept.execs.values()) {
    execs[exec.id] = { process: exec.process.record, tty: exec.tty, exit: exec.exit && encodeExit(exec.exit), memo: exec.memo };
  }
  return { version: 1, spec: kept.spec, process: kept.process.record, exit: kept.exit && encodeExit(kept.exit), execs };
}

function forgetOldExecs(kept: KeptContainer): void {
  const ended = [...kept.execs.values()].filter((exec) => exec.exit !== undefined && exec.acknowledged);
  for (const exec of ended.slice(0, Math.max(0, ended.length - ENDED_EXECS_LIMIT))) kept.execs.delete(exec.id);
}

/** An end goes its way whatever fails on it. */
async function attempt(context: KeeperContext, kept: KeptContainer, what: string, work: () => unknown): Promise<void> {
  try {
    await work();
  } catch (error) {
    context.log.error({ container: kept.spec.id, error: messageOf(error) }, what);
  }
}

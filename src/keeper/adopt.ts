import { closeSync, readdirSync, rmSync } from "node:fs";
import path from "node:path";
import { codeOf, messageOf } from "../base/errors.ts";
import { failpoint } from "../base/failpoint.ts";
import { copyDescriptor, openPidfd, openPidfdOf } from "../kernel/pidfd.ts";
import { hasMemoryLimit } from "./bundle.ts";
import type { Containers } from "./containers.ts";
import type { ContainerSpec, Exit, Target } from "./keeper.ts";
import { execFolder, markFile, openContainerLog, type KeeperContext, type KeptContainer, type KeptExec } from "./kept.ts";
import { adoptedProcess, endedProcess, type KeptProcess } from "./kept-process.ts";
import { decodeExit, type Methods } from "./protocol.ts";
import { readExit, readRecord, removeRecord, type ContainerRecord, type ProcessRecord } from "./record.ts";
import { fifoPaths, reopenStdio } from "./stdio.ts";
import { TargetIo } from "./target-io.ts";

type Report = Methods["report"]["params"];

/**
 * Takes over what an earlier keeper left: containers that run go on, output is read on from where the log ends, and those that ended
 * meanwhile get the exit status that the daemon knows by its pidfds. For that the daemon's first report is waited for: `settle` takes it.
 */
export interface Adoption {
  settle(report: Report): void;
}

export async function adoptContainers(context: KeeperContext, containers: Containers): Promise<Adoption> {
  const settling = new Settling(context);
  for (const name of readdirSync(context.places.bundles)) {
    const bundlePath = path.join(context.places.bundles, name);
    try {
      const record = readRecord(bundlePath);
      if (record === undefined) continue;
      if (record.process === undefined) await clearAway(context, record.spec);
      else containers.adopt(await adopt(context, settling, record, record.process));
    } catch (error) {
      context.log.error({ bundle: bundlePath, error: messageOf(error) }, "a container cannot be adopted");
    }
    failpoint("keeper.adopt.container");
  }
  return settling;
}

/** A container whose start the last keeper did not live to finish. */
async function clearAway(context: KeeperContext, spec: ContainerSpec): Promise<void> {
  const runtime = await context.runtimeFor(spec.runtime);
  await runtime.remove(spec);
  for (const file of [...Object.values(fifoPaths(spec.bundlePath)), markFile(spec)]) rmSync(file, { force: true });
  removeRecord(spec.bundlePath);
}

async function adopt(
  context: KeeperContext,
  settling: Settling,
  record: ContainerRecord,
  processRecord: ProcessRecord,
): Promise<KeptContainer> {
  const { spec } = record;
  const runtime = await context.runtimeFor(spec.runtime);
  const exit = record.exit && decodeExit(record.exit);
  const log = exit === undefined ? openContainerLog(context, spec) : undefined;
  const target: Target = { containerId: spec.id };
  const kept: KeptContainer = {
    spec,
    runtime,
    exit,
    process: exit === undefined ? settling.findProcess(target, processRecord, readExit(spec, processRecord)) : gone(processRecord),
    io: openIo(context, spec.bundlePath, { tty: spec.tty, stdinOnce: spec.stdinOnce, log, ended: exit !== undefined }),
    execs: new Map(),
    removal: exit === undefined ? undefined : runtime.remove(spec),
  };
  kept.removal?.catch((error: unknown) =>
    context.log.warn({ container: spec.id, error: messageOf(error) }, "a container is not removed yet"),
  );
  if (exit === undefined) {
    if (spec.tty) settling.wantTerminal(target, kept.io);
    if (hasMemoryLimit(spec.bundlePath)) context.oom.watch(spec.id, spec.cgroupsPath);
  }
  for (const [execId, exec] of Object.entries(record.execs)) {
    const execTarget = { ...target, execId };
    const ended = exec.exit !== undefined;
    const io = openIo(context, execFolder(spec, execId), { tty: exec.tty, stdinOnce: true, log: undefined, ended });
    const process = ended ? gone(exec.process) : settling.findProcess(execTarget, exec.process);
    if (exec.tty && !ended) settling.wantTerminal(execTarget, io);
    const { tty, memo } = exec;
    const keptExec: KeptExec = { id: execId, process, io, tty, memo, exit: exec.exit && decodeExit(exec.exit), acknowledged: false };
    kept.execs.set(execId, keptExec);
  }
  return kept;
}

function openIo(
  context: KeeperContext,
  folder: string,
  options: { tty: boolean; stdinOnce: boolean; log: ReturnType<typeof openContainerLog>; ended: boolean },
): TargetIo {
  const { poller, tools, places } = context;
  const ends = options.ended || options.tty ? {} : reopenStdio(folder);
  const io = new TargetIo(ends, { ...options, poller, tools, spillFolder: places.spill });
  // A pipe whose writers have gone before we came tells no edge.
  io.look();
  return io;
}

class Settling implements Adoption {
  readonly #context: KeeperContext;
  readonly #lost = new Map<string, { record: ProcessRecord; resolve: (waitStatus: number | undefined) => void }>();
  readonly #terminals = new Map<string, TargetIo>();

  constructor(context: KeeperContext) {
    this.#context = context;
  }

  /** The process if it still runs, else one whose end was written down or the daemon's report tells. */
  findProcess(target: Target, record: ProcessRecord, recordedExit?: Exit): KeptProcess {
    if (recordedExit !== undefined) return gone(record, recordedExit);
    const pidfd = openPidfdOf(record.pid, record.startTicks);
    if (pidfd !== undefined) return adoptedProcess(record, pidfd, this.#context.poller);
    const { promise, resolve } = Promise.withResolvers<number | undefined>();
    this.#lost.set(keyOf(target), { record, resolve });
    return endedProcess(record, promise);
  }

  wantTerminal(target: Target, io: TargetIo): void {
    this.#terminals.set(keyOf(target), io);
  }

  settle({ daemonPid, ended, terminals }: Report): void {
    this.#takeTerminals(daemonPid, terminals);
    for (const { target, pid, waitStatus } of ended) {
      const lost = this.#lost.get(keyOf(target));
      if (lost?.record.pid === pid) lost.resolve(waitStatus);
    }
    for (const { resolve } of this.#lost.values()) resolve(undefined);
    this.#lost.clear();
    this.#terminals.clear();
  }

  /** The daemon has a copy of each pty's master: a container's terminal does not go with its keeper. */
  #takeTerminals(daemonPid: number, terminals: Report["terminals"]): void {
    const wanted = terminals.filter(({ target }) => this.#terminals.has(keyOf(target)));
    if (wanted.length === 0) return;
    const daemon = openPidfd(daemonPid);
    try {
      for (const { target, descriptor } of wanted) this.#terminals.get(keyOf(target))?.openTerminal(copyDescriptor(daemon, descriptor));
    } catch (error) {
      this.#context.log.error({ error: messageOf(error), code: codeOf(error) }, "terminals cannot be taken over from the daemon");
    } finally {
      closeSync(daemon);
    }
  }
}

function gone(record: ProcessRecord, recordedExit?: Exit): KeptProcess {
  return endedProcess(record, Promise.resolve(undefined), recordedExit);
}

function keyOf({ containerId, execId }: Target): string {
  return `${containerId}/${execId ?? ""}`;
}

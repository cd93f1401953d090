import { mkdirSync, rmSync } from "node:fs";
import { EngineError, messageOf } from "../base/errors.ts";
import { failpoint } from "../base/failpoint.ts";
import { nowNs } from "../base/time.ts";
import { Undo } from "../base/undo.ts";
import { readStartTicks } from "../kernel/pidfd.ts";
import type { ExecSpec } from "./keeper.ts";
import { execFolder, recordOf, type KeeperContext, type KeptContainer, type KeptExec } from "./kept.ts";
import { ownProcess } from "./kept-process.ts";
import { writeRecord } from "./record.ts";
import { consoleSocketPath, prepareStdio } from "./stdio.ts";
import { TargetIo } from "./target-io.ts";

/** Runs a process in a container. When it rejects, its clients were given the message, as Docker does, and let go. */
export async function startExec(context: KeeperContext, kept: KeptContainer, spec: ExecSpec): Promise<KeptExec> {
  const target = { containerId: spec.containerId, execId: spec.execId };
  try {
    return await start(context, kept, spec);
  } catch (error) {
    context.attachments.end(target, `${messageOf(error)}\r\n`, spec.tty);
    throw error;
  }
}

async function start(context: KeeperContext, kept: KeptContainer, spec: ExecSpec): Promise<KeptExec> {
  const { containerId, execId, tty } = spec;
  if (kept.execs.has(execId)) throw new EngineError("conflict", `exec ${execId} has been started already`);
  await using undo = new Undo((message) => context.log.warn({ container: containerId, exec: execId }, message));
  const runtime = await context.runtimeFor(spec.runtime);
  const folder = execFolder(kept.spec, execId);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  undo.defer("folder", () => rmSync(folder, { recursive: true, force: true }));
  const stdio = prepareStdio({
    folder,
    tty,
    openStdin: spec.openStdin,
    consoleSize: spec.consoleSize,
    consoleSocketPath: consoleSocketPath(context.places.consoleSockets, execId),
  });
  undo.defer("stdio", () => stdio.discard());
  failpoint("keeper.exec.stdio");

  const { pid, since } = await runtime.exec(kept.spec, spec.process, folder, stdio.forRuntime, stdio.consoleSocketPath);
  const startedAtNs = String(nowNs());
  const claimed = context.reaper.claim(pid, since);
  failpoint("keeper.exec.started");
  const { poller, tools, places } = context;
  const io = new TargetIo(stdio.take(), { tty, stdinOnce: true, log: undefined, poller, tools, spillFolder: places.spill });
  context.attachments.join({ containerId, execId }, io);
  // A process that was quick has no start time any more; then nobody can mistake another for it either.
  const process = ownProcess({ pid, startTicks: readStartTicks(pid) ?? "ended", startedAtNs }, claimed);
  const exec: KeptExec = { id: execId, process, io, tty, memo: spec.memo, exit: undefined, acknowledged: false };
  kept.execs.set(execId, exec);
  writeRecord(recordOf(kept));
  undo.keep();
  return exec;
}

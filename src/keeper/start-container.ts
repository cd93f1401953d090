import { rmSync } from "node:fs";
import { EngineError, messageOf } from "../base/errors.ts";
import { failpoint } from "../base/failpoint.ts";
import { nowNs } from "../base/time.ts";
import { Undo } from "../base/undo.ts";
import { readStartTicks } from "../kernel/pidfd.ts";
import type { Runtime } from "../kernel/runtime.ts";
import { hasMemoryLimit } from "./bundle.ts";
import type { ContainerSpec } from "./keeper.ts";
import { markFile, openContainerLog, recordOf, type KeeperContext, type KeptContainer } from "./kept.ts";
import { ownProcess } from "./kept-process.ts";
import type { LogWriter } from "./log-writer.ts";
import { removeRecord, writeRecord } from "./record.ts";
import { consoleSocketPath, prepareStdio } from "./stdio.ts";
import { TargetIo } from "./target-io.ts";

/** Makes and starts a container's first process. When it rejects, nothing of it is left and its clients were let go. */
export async function startContainer(context: KeeperContext, spec: ContainerSpec): Promise<KeptContainer> {
  await using undo = new Undo((message) => context.log.warn({ container: spec.id }, message));
  undo.defer("clients", () => context.attachments.end({ containerId: spec.id }));
  const runtime = await context.runtimeFor(spec.runtime);

  writeRecord({ version: 1, spec, process: undefined, exit: undefined, execs: {} });
  undo.defer("record", () => removeRecord(spec.bundlePath));
  failpoint("keeper.start.recorded");

  const log = openLog(context, spec);
  undo.defer("log", async () => {
    await log?.close();
    rmSync(markFile(spec), { force: true });
  });
  const stdio = prepareStdio({
    folder: spec.bundlePath,
    tty: spec.tty,
    openStdin: spec.openStdin,
    consoleSize: spec.consoleSize,
    consoleSocketPath: consoleSocketPath(context.places.consoleSockets, spec.id),
  });
  undo.defer("stdio", () => stdio.discard());
  failpoint("keeper.start.stdio");

  const { pid, since } = await runtime.create(spec, stdio.forRuntime, stdio.consoleSocketPath);
  const claimed = context.reaper.claim(pid, since);
  undo.defer("container", () => removeUnstarted(runtime, spec, pid, claimed));
  const startTicks = readStartTicks(pid);
  if (startTicks === undefined) throw new EngineError("system", `container ${spec.id}: its first process ended before it was started`);
  failpoint("keeper.start.created");

  const { poller, tools, places } = context;
  const io = new TargetIo(stdio.take(), {
    tty: spec.tty,
    stdinOnce: spec.stdinOnce,
    log,
    poller,
    tools,
    spillFolder: places.spill,
  });
  undo.defer("output", () => io.close());
  // Before the first byte can come.
  context.attachments.join({ containerId: spec.id }, io);

  await runtime.start(spec);
  const record = { pid, startTicks, startedAtNs: String(nowNs()) };
  const process = ownProcess(record, claimed);
  const kept: KeptContainer = { spec, runtime, process, io, exit: undefined, execs: new Map(), removal: undefined };
  failpoint("keeper.start.started");
  writeRecord(recordOf(kept));
  if (hasMemoryLimit(spec.bundlePath)) context.oom.watch(spec.id, spec.cgroupsPath);
  undo.keep();
  return kept;
}

async function removeUnstarted(runtime: Runtime, spec: ContainerSpec, pid: number, claimed: Promise<number>): Promise<void> {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It has ended.
  }
  await claimed;
  await runtime.remove(spec);
}

function openLog(context: KeeperContext, spec: ContainerSpec): LogWriter | undefined {
  try {
    return openContainerLog(context, spec);
  } catch (error) {
    throw new EngineError("system", `failed to initialize logging driver: ${messageOf(error)}`, { cause: error });
  }
}

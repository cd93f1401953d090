import { mkdir, rm } from "node:fs/promises";
import type { Duplex } from "node:stream";

import { createBody } from "../../api/container-config.ts";
import { messageOf } from "../../base/errors.ts";
import { nowNs } from "../../base/time.ts";
import { Undo } from "../../base/undo.ts";
import type { Exit } from "../../keeper/keeper.ts";
import { paths } from "../../store/roots.ts";
import { FrameReader } from "./frame-reader.ts";
import type { Container } from "./container.ts";
import type { ContainerContext } from "./context.ts";
import { checkCreate } from "./create-checks.ts";
import { launch, type RootSource } from "./launch.ts";
import type { OciMount } from "./oci-mounts.ts";
import { signalNumberOf } from "./signals.ts";
import { endUnrecorded } from "./start.ts";
import { takeDown } from "./take-down.ts";

/** A step of a build: a process in a root file system of the caller's. */
export interface StepRequest {
  id: string;
  /** Members of the API's ContainerConfig and HostConfig. */
  config: Record<string, unknown>;
  hostConfig: Record<string, unknown>;
  root: RootSource;
  extraMounts: OciMount[];
  onOutput: (stream: "stdout" | "stderr", bytes: Buffer) => void;
}

/**
 * Runs it by the same path as any container (`launch.ts`), without a record: nobody lists, stops or restarts it, and a daemon that comes
 * up ends what an earlier one left. Resolves when it has ended and all that it had is taken down; the root file system is unmounted then.
 */
export async function runStep(
  context: ContainerContext,
  request: StepRequest,
  signal: AbortSignal,
): Promise<{ exitCode: number; oomKilled: boolean }> {
  signal.throwIfAborted();
  const container = await stepContainer(context, request);
  const { id } = container;
  await using undo = new Undo((message) => context.log.error({ step: id }, message));
  const ended = Promise.withResolvers<Exit>();
  context.steps.set(id, ended.resolve);
  undo.defer("forgetting the step", () => void context.steps.delete(id));
  undo.defer("removing its folder", () => rm(paths.container(context.roots, id), { recursive: true, force: true }));
  await mkdir(paths.container(context.roots, id), { mode: 0o710 });

  const output = await context.keeper.attach({ containerId: id }, { stdin: false, stdout: true, stderr: true });
  undo.defer("letting go of its output", () => void output.destroy());
  const written = readOutput(output, request.onOutput);
  await using launched = new Undo((message) => context.log.error({ step: id }, message));
  launched.defer("letting go of its process", () => endUnrecorded(context, id));
  await launch(context, container, launched, {
    root: request.root,
    joined: { ipc: undefined, pid: undefined },
    extraMounts: request.extraMounts,
  });
  const kill = (): void => {
    context.keeper.signal({ containerId: id }, signalNumberOf("SIGKILL")).catch((error: unknown) => {
      context.log.error({ step: id, error: messageOf(error) }, "ending a cancelled step");
    });
  };
  signal.addEventListener("abort", kill);
  if (signal.aborted) kill();
  try {
    const exit = await ended.promise;
    await Promise.all([written, takeDown(context, container, (target) => request.root.unmount(target))]);
    launched.keep();
    signal.throwIfAborted();
    return { exitCode: exit.exitCode, oomKilled: exit.oomKilled };
  } finally {
    signal.removeEventListener("abort", kill);
  }
}

/** Resolves at the end of the output. */
async function readOutput(output: Duplex, onOutput: StepRequest["onOutput"]): Promise<void> {
  const frames = new FrameReader(onOutput);
  try {
    // Without an encoding a Duplex gives Buffers.
    for await (const chunk of output) frames.push(chunk as Buffer);
  } catch {
    // Let go of: the step failed, and says so itself.
  }
}

/** The container that it would be, with all the daemon's defaults; without a log, for its output is its build's. */
async function stepContainer(context: ContainerContext, { id, config, hostConfig }: StepRequest): Promise<Container> {
  const checked = await checkCreate({
    body: createBody.decode({ ...config, HostConfig: { ...hostConfig, LogConfig: { Type: "none" } } }, ""),
    findImage: () => undefined,
    host: context.host,
    settings: context.settings,
    containers: context.set,
    dataRoot: context.roots.data,
  });
  return {
    id,
    name: id,
    createdNs: nowNs(),
    imageId: "",
    chainId: undefined,
    platform: "linux",
    config: { ...checked.config, Hostname: checked.config.Hostname || id.slice(0, 12) },
    hostConfig: { ...checked.hostConfig, AutoRemove: true },
    networking: checked.networking,
    command: checked.command,
    mounts: checked.mounts,
    links: [],
    state: { status: "created", exitCode: 0, error: "" },
    restartCount: 0,
    stoppedByUser: false,
    beingRestarted: false,
  };
}

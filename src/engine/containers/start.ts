import { EngineError, messageOf } from "../../base/errors.ts";
import { failpoint } from "../../base/failpoint.ts";
import { retry } from "../../base/retry.ts";
import { Undo } from "../../base/undo.ts";
import { statusOf, type Container } from "./container.ts";
import { publishContainerEvent, publishNetworkEvent, publishVolumeEvents, type ContainerContext } from "./context.ts";
import { launch } from "./launch.ts";
import { tellLinked } from "./links.ts";
import { sharedContainer } from "./namespace-modes.ts";
import type { JoinedNamespaces } from "./oci-namespaces.ts";
import { removeLocked } from "./remove.ts";
import { signalNumberOf } from "./signals.ts";

/**
 * `POST /containers/{id}/start`: the recipe, top to bottom. What it makes in the kernel has names derived from the id, so a crash at any
 * step leaves nothing that the next start-up does not find: either the keeper holds the process, and the container runs, or it does not,
 * and all of it is taken down.
 */
export async function start(context: ContainerContext, name: string): Promise<void> {
  const container = context.set.get(name);
  await context.set.locked(container, async () => {
    if (context.set.find(container.id) === undefined) throw new EngineError("notFound", `No such container: ${name}`);
    checkStartable(container);
    try {
      await startLocked(context, container);
    } catch (error) {
      const exitCode = await recordFailure(context, container, error);
      // A command that cannot be run is the caller's mistake (moby daemon/start.go), and the CLI reads its exit code from the words.
      if (exitCode !== START_FAILED) throw new EngineError("invalid", messageOf(error), { cause: error });
      throw error;
    }
  });
}

function checkStartable(container: Container): void {
  const status = statusOf(container);
  switch (status) {
    case "created":
    case "exited":
      return;
    case "running":
    case "restarting":
      throw new EngineError("unchanged", `container ${container.id} is already running`);
    case "paused":
      throw new EngineError("conflict", "cannot start a paused container, try unpause instead");
    case "removing":
    case "dead":
      throw new EngineError("conflict", "container is marked for removal and cannot be started");
  }
}

async function startLocked(context: ContainerContext, container: Container): Promise<void> {
  const { layers, networks } = context;
  await using undo = new Undo((message) => context.log.error({ container: container.id }, message));
  const started = await launch(context, container, undo, {
    root: {
      mount: (target) => layers.mountWritable(container.id, container.chainId, target, { volatile: container.hostConfig.AutoRemove }),
      unmount: (target) => layers.unmountWritable(target),
    },
    joined: sharedNamespaces(context, container),
  });
  undo.defer("ending its process", () => endUnrecorded(context, container.id));
  failpoint("containers.start.started");

  const { state } = container;
  undo.defer("its state", () => {
    container.state = state;
  });
  container.stoppedByUser = false;
  container.state = { status: "running", pid: started.pid, startedAtNs: started.startedAtNs, paused: false };
  await context.set.save(container);
  undo.keep();
  await tellLinked(context, container);
  for (const endpoint of networks.endpointsOf(container.id)) publishNetworkEvent(context, container, endpoint, "connect");
  publishVolumeEvents(context, container, "mount");
  publishContainerEvent(context, container, "start");
}

/** The keeper lets go only of what has ended. */
const FORGET_PAUSES_MS = [5, 20, 100, 500, 2000];

/** Ends a container that runs though its start failed: nobody would know of it. */
export async function endUnrecorded({ keeper }: Pick<ContainerContext, "keeper">, containerId: string): Promise<void> {
  await keeper.signal({ containerId }, signalNumberOf("SIGKILL"));
  await retry(FORGET_PAUSES_MS, () => keeper.forgetContainer(containerId));
}

/** The namespaces of other containers that this one asked to share; those must run. */
function sharedNamespaces(context: ContainerContext, container: Container): Pick<JoinedNamespaces, "ipc" | "pid"> {
  const pathOf = (mode: string, type: "ipc" | "pid"): string | undefined => {
    const name = sharedContainer(mode);
    if (name === undefined) return undefined;
    const { state, id } = context.set.get(name);
    if (state.status !== "running")
      throw new EngineError("conflict", `cannot join ${type.toUpperCase()} of a non running container: ${id}`);
    return `/proc/${state.pid}/ns/${type}`;
  };
  return { ipc: pathOf(container.hostConfig.IpcMode, "ipc"), pid: pathOf(container.hostConfig.PidMode, "pid") };
}

/** A container that could not start keeps why, and is gone when it was made with --rm. */
async function recordFailure(context: ContainerContext, container: Container, error: unknown): Promise<number> {
  const message = messageOf(error);
  const exitCode = startExitCode(message);
  if (container.state.status === "created") container.state = { ...container.state, exitCode, error: message };
  else if (container.state.status === "exited") container.state.ended = { ...container.state.ended, exitCode, error: message };
  context.set.saveSoon(container);
  if (container.hostConfig.AutoRemove) {
    await removeLocked(context, container).catch((failure: unknown) => {
      context.log.error({ container: container.id, error: messageOf(failure) }, "removing a container that could not start");
    });
  }
  return exitCode;
}

/** Exit code of a container that could not start for another reason than its command. */
const START_FAILED = 128;

/** The exit code of a container that could not start, from the runtime's words (moby daemon/start.go, and the shell before it). */
export function startExitCode(message: string): number {
  if (!message.includes("OCI runtime")) return START_FAILED;
  if (/permission denied|is a directory/i.test(message)) return 126;
  if (/executable file not found|no such file or directory|not a directory/i.test(message)) return 127;
  return START_FAILED;
}

import { EngineError } from "../../base/errors.ts";
import { isRunning, type Container } from "./container.ts";
import type { WaitResult } from "./containers.ts";
import { publishContainerEvent, type ContainerContext } from "./context.ts";
import { parseSignal, signalNumberOf } from "./signals.ts";
import { start } from "./start.ts";

/** Docker's grace time between the stop signal and SIGKILL, in seconds. */
const DEFAULT_STOP_TIMEOUT_SECONDS = 10;
/** How long a killed container may take until its exit is known. */
const KILL_TIMEOUT_MS = 10_000;

export interface StopOptions {
  signal: string | undefined;
  timeoutSeconds: number | undefined;
}

/** `POST /containers/{id}/stop`: the stop signal, the grace time, then SIGKILL. */
export async function stop(context: ContainerContext, name: string, options: StopOptions, signal?: AbortSignal): Promise<void> {
  const container = context.set.get(name);
  const stopSignal = parseSignal(options.signal ?? (container.config.StopSignal || "SIGTERM"));
  if (!isRunning(container)) throw new EngineError("unchanged", `container ${name} is not running`);
  container.stoppedByUser = true;
  await stopRunning(context, container, stopSignal, options.timeoutSeconds, signal);
  publishContainerEvent(context, container, "stop");
}

/** `POST /containers/{id}/restart`: stop if it runs, then start. */
export async function restart(context: ContainerContext, name: string, options: StopOptions, signal?: AbortSignal): Promise<void> {
  const container = context.set.get(name);
  try {
    await restartContainer(context, container, options, signal);
  } catch (error) {
    if (!(error instanceof EngineError)) throw error;
    throw new EngineError(error.kind, `Cannot restart container ${name}: ${error.message}`, { cause: error });
  }
}

async function restartContainer(
  context: ContainerContext,
  container: Container,
  options: StopOptions,
  signal?: AbortSignal,
): Promise<void> {
  const stopSignal = parseSignal(options.signal ?? (container.config.StopSignal || "SIGTERM"));
  container.beingRestarted = true;
  try {
    if (isRunning(container)) {
      await stopRunning(context, container, stopSignal, options.timeoutSeconds, signal);
      publishContainerEvent(context, container, "stop");
    }
    await start(context, container.id);
  } finally {
    container.beingRestarted = false;
  }
  publishContainerEvent(context, container, "restart");
}

/** `POST /containers/{id}/kill`: any signal, no waiting but for SIGKILL's effect. */
export async function kill(context: ContainerContext, name: string, signalName: string | undefined): Promise<void> {
  try {
    await killNamed(context, name, signalName);
  } catch (error) {
    if (!(error instanceof EngineError)) throw error;
    throw new EngineError(error.kind, `cannot kill container: ${name}: ${error.message}`, { cause: error });
  }
}

async function killNamed(context: ContainerContext, name: string, signalName: string | undefined): Promise<void> {
  const signalNumber = parseSignal(signalName === undefined || signalName === "" ? "SIGKILL" : signalName);
  const container = context.set.get(name);
  if (!isRunning(container)) throw new EngineError("conflict", `container ${container.id} is not running`);
  if (signalNumber === signalNumberOf("SIGKILL")) {
    container.stoppedByUser = true;
    await killAndWait(context, container);
    return;
  }
  if (signalNumber === signalNumberOf(container.config.StopSignal || "SIGTERM")) container.stoppedByUser = true;
  await sendSignal(context, container, signalNumber);
}

/** Kills a running container and waits until it is taken down. */
export async function killAndWait(context: ContainerContext, container: Container): Promise<void> {
  const ended = waitForEnd(context, container);
  await sendSignal(context, container, signalNumberOf("SIGKILL"));
  if (container.state.status === "running" && container.state.paused) await context.keeper.unpause(container.id);
  if ((await within(ended, KILL_TIMEOUT_MS)) === undefined) {
    throw new EngineError(
      "system",
      `tried to kill container ${container.id}, but did not receive an exit event within ${KILL_TIMEOUT_MS / 1000} s`,
    );
  }
}

async function stopRunning(
  context: ContainerContext,
  container: Container,
  stopSignal: number,
  timeoutSeconds: number | undefined,
  signal: AbortSignal | undefined,
): Promise<void> {
  const seconds = timeoutSeconds ?? container.config.StopTimeout ?? DEFAULT_STOP_TIMEOUT_SECONDS;
  const ended = waitForEnd(context, container);
  await sendSignal(context, container, stopSignal);
  if (container.state.status === "running" && container.state.paused) await context.keeper.unpause(container.id);
  const graceMs = seconds < 0 ? undefined : seconds * 1000;
  if ((await within(ended, graceMs, signal)) !== undefined) return;
  if (!isRunning(container)) return;
  await killAndWait(context, container);
}

/** Armed at once; resolves when the container's present run is over and taken down. */
function waitForEnd(context: ContainerContext, container: Container): Promise<WaitResult> {
  return isRunning(container) ? context.waiters.wait(container.id, "ended") : Promise.resolve({ exitCode: 0, error: undefined });
}

async function sendSignal(context: ContainerContext, container: Container, signalNumber: number): Promise<void> {
  // Between the end of a container and the record of it the keeper may have let go of it already.
  await context.keeper.signal({ containerId: container.id }, signalNumber).catch((error: unknown) => {
    if (!(error instanceof EngineError && error.kind === "notFound")) throw error;
  });
  publishContainerEvent(context, container, "kill", { signal: String(signalNumber) });
}

/** The promise's value, or undefined when it took longer or the caller went away. */
async function within<T>(promise: Promise<T>, timeoutMs: number | undefined, signal?: AbortSignal): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<undefined>((resolve) => {
    if (timeoutMs !== undefined) timer = setTimeout(resolve, timeoutMs, undefined);
    signal?.addEventListener("abort", () => resolve(undefined), { once: true });
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

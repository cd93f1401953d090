import { Duplex, PassThrough } from "node:stream";

import { EngineError } from "../../base/errors.ts";
import { paths } from "../../store/roots.ts";
import { readLogs, type LogsRequest } from "../logs/logs.ts";
import { statusOf, type Container } from "./container.ts";
import type { AttachRequest, HandOver, Session } from "./containers.ts";
import { publishContainerEvent, type ContainerContext } from "./context.ts";
import { parseDetachKeys } from "./detach-keys.ts";
import { withDetachKeys } from "./session-stream.ts";

/**
 * `POST /containers/{id}/attach`: joins a container's stdio; `docker run` does so before the start. `logs` replays what was said before.
 */
export async function attach(context: ContainerContext, name: string, request: AttachRequest): Promise<Session> {
  const container = context.set.get(name);
  const keys = parseDetachKeys(request.detachKeys);
  const status = statusOf(container);
  if (status === "paused") throw new EngineError("conflict", `container ${name} is paused, unpause the container before attach`);
  if (status === "restarting") throw new EngineError("conflict", `container ${name} is restarting, wait until the container is running`);

  const tty = container.config.Tty;
  const past = request.logs ? pastOutput(context, container, request) : undefined;
  if (!request.stream) return { tty, stream: Duplex.from({ readable: past ?? emptyOutput(), writable: new PassThrough().resume() }) };

  const target = { containerId: container.id };
  const streams = { stdin: request.stdin && container.config.OpenStdin, stdout: request.stdout, stderr: request.stderr };
  // Detach keys are watched here, and what was said before comes from here.
  if (request.canHandOver && past === undefined && !(tty && request.stdin)) {
    const handOver: HandOver = async (seize) => {
      await context.keeper.handOver(target, streams, seize());
      publishContainerEvent(context, container, "attach");
    };
    return { tty, handOver };
  }
  const live = await context.keeper.attach(target, streams);
  publishContainerEvent(context, container, "attach");
  const stream = past === undefined ? live : Duplex.from({ readable: concatenated(past, live), writable: live });
  if (!tty || !request.stdin) return { tty, stream };
  return { tty, stream: withDetachKeys(stream, keys, () => publishContainerEvent(context, container, "detach")) };
}

/** `GET /containers/{id}/logs` */
export async function logs(
  context: ContainerContext,
  name: string,
  request: LogsRequest,
  signal?: AbortSignal,
): Promise<{ tty: boolean; frames: AsyncIterable<Uint8Array> }> {
  const container = context.set.get(name);
  if (!request.stdout && !request.stderr) throw new EngineError("invalid", "Bad parameters: you must choose at least one stream");
  if (container.hostConfig.LogConfig.Type === "none") {
    throw new EngineError("unimplemented", "configured logging driver does not support reading");
  }
  return { tty: container.config.Tty, frames: readContainerLogs(context, container, request, signal) };
}

function readContainerLogs(
  context: ContainerContext,
  container: Container,
  request: LogsRequest,
  signal: AbortSignal | undefined,
): AsyncIterable<Uint8Array> {
  // Following ends with the container's run, so the wait is armed before the first byte is read.
  const complete = new AbortController();
  if (container.state.status === "running") {
    const over = (): void => complete.abort();
    if (request.follow) context.waiters.wait(container.id, "ended", signal).then(over, over);
  } else complete.abort();
  const source = { path: paths.containerLog(context.roots, container.id), tty: container.config.Tty, complete: complete.signal };
  return readLogs(source, request, signal);
}

function pastOutput(context: ContainerContext, container: Container, request: AttachRequest): AsyncIterable<Uint8Array> {
  return readContainerLogs(
    context,
    container,
    {
      follow: false,
      stdout: request.stdout,
      stderr: request.stderr,
      sinceNs: undefined,
      untilNs: undefined,
      timestamps: false,
      details: false,
      tail: undefined,
    },
    undefined,
  );
}

async function* concatenated(first: AsyncIterable<Uint8Array>, second: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  yield* first;
  yield* second;
}

// eslint-disable-next-line require-yield
async function* emptyOutput(): AsyncGenerator<Uint8Array> {}

import { messageOf } from "../../base/errors.ts";
import { failpoint } from "../../base/failpoint.ts";
import { retry } from "../../base/retry.ts";
import type { Exit } from "../../keeper/keeper.ts";
import type { Endpoint } from "../networks/networks.ts";
import type { Container } from "./container.ts";
import { publishContainerEvent, publishNetworkEvent, type ContainerContext } from "./context.ts";
import { removeLocked } from "./remove.ts";
import { takeDown } from "./take-down.ts";

/**
 * What follows when a container's process has ended, whoever noticed: the keeper that reports it, or a restore that finds the exit record.
 * Every step is idempotent, so that a crash in between only means that it is run again.
 */
export async function handleExit(context: ContainerContext, container: Container, exit: Exit): Promise<void> {
  await context.set.locked(container, async () => {
    if (container.state.status !== "running") return;
    const { startedAtNs } = container.state;
    const endpoints = context.networks.endpointsOf(container.id);
    await untilDone(context, container, () => recordExit(context, container, exit));
    await untilDone(context, container, async () => announceExit(context, container, exit, startedAtNs, endpoints));
    if (container.hostConfig.AutoRemove && !container.beingRestarted) {
      await removeLocked(context, container).catch((error: unknown) => {
        context.log.error({ container: container.id, error: messageOf(error) }, "removing a container that was run with --rm");
      });
    }
    context.waiters.ended(container.id, { exitCode: exit.exitCode, error: exit.error });
  });
}

async function recordExit(context: ContainerContext, container: Container, exit: Exit): Promise<void> {
  const { state } = container;
  if (state.status !== "running") return;
  failpoint("containers.exit.begin");
  await takeDown(context, container);
  failpoint("containers.exit.takenDown");
  container.state = {
    status: "exited",
    startedAtNs: state.startedAtNs,
    ended: { exitCode: exit.exitCode, finishedAtNs: exit.finishedAtNs, oomKilled: exit.oomKilled, error: exit.error ?? "" },
  };
  try {
    await context.set.save(container);
  } catch (error) {
    container.state = state;
    throw error;
  }
}

function announceExit(
  context: ContainerContext,
  container: Container,
  exit: Exit,
  startedAtNs: bigint,
  endpoints: readonly Endpoint[],
): void {
  failpoint("containers.exit.saved");
  const seconds = (exit.finishedAtNs - startedAtNs) / 1_000_000_000n;
  publishContainerEvent(context, container, "die", { exitCode: String(exit.exitCode), execDuration: String(seconds) });
  for (const endpoint of endpoints) publishNetworkEvent(context, container, endpoint, "disconnect");
}

/** The keeper reports an exit once: what fails then, on a full disk say, is tried again until it succeeds. */
function untilDone(context: ContainerContext, container: Container, work: () => Promise<void>): Promise<void> {
  return retry(pausesMs(), work, (error, pauseMs) => {
    context.log.error({ container: container.id, error: messageOf(error), pauseMs }, "following the end of a container: trying again");
  });
}

function* pausesMs(): Generator<number> {
  yield* [100, 500, 2000];
  for (;;) yield 10_000;
}

import { messageOf } from "../../base/errors.ts";
import { failpoint } from "../../base/failpoint.ts";
import type { Exit } from "../../keeper/keeper.ts";
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
    const { state } = container;
    if (state.status !== "running") return;
    failpoint("containers.exit.begin");
    const endpoints = context.networks.endpointsOf(container.id);
    await takeDown(context, container);
    failpoint("containers.exit.takenDown");

    container.state = {
      status: "exited",
      startedAtNs: state.startedAtNs,
      ended: { exitCode: exit.exitCode, finishedAtNs: exit.finishedAtNs, oomKilled: exit.oomKilled, error: exit.error ?? "" },
    };
    await context.set.save(container);
    failpoint("containers.exit.saved");

    const seconds = (exit.finishedAtNs - state.startedAtNs) / 1_000_000_000n;
    publishContainerEvent(context, container, "die", { exitCode: String(exit.exitCode), execDuration: String(seconds) });
    for (const endpoint of endpoints) publishNetworkEvent(context, container, endpoint, "disconnect");
    if (container.hostConfig.AutoRemove && !container.beingRestarted) {
      await removeLocked(context, container).catch((error: unknown) => {
        context.log.error({ container: container.id, error: messageOf(error) }, "removing a container that was run with --rm");
      });
    }
    context.waiters.ended(container.id, { exitCode: exit.exitCode, error: exit.error });
  });
}

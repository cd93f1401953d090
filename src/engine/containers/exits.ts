import { setTimeout as sleep } from "node:timers/promises";

import { messageOf } from "../../base/errors.ts";
import { failpoint } from "../../base/failpoint.ts";
import { retry } from "../../base/retry.ts";
import type { Exit } from "../../keeper/keeper.ts";
import type { Endpoint } from "../networks/networks.ts";
import type { Container } from "./container.ts";
import { publishContainerEvent, publishNetworkEvent, publishVolumeEvents, type ContainerContext } from "./context.ts";
import { removeLocked } from "./remove.ts";
import { takeDown } from "./take-down.ts";

/**
 * What follows when a container's process has ended, whoever noticed: the keeper that reports it, or a restore that finds the exit record.
 * Every step is idempotent, so that a crash in between only means that it is run again.
 *
 * The keeper reports an exit once. What fails then is tried again, soon and then for as long as it takes; after the first tries (on a full
 * disk, say) whoever waits for the end is told all the same.
 */
export async function handleExit(context: ContainerContext, container: Container, exit: Exit): Promise<void> {
  await context.set.locked(container, async () => {
    const { state } = container;
    if (state.status !== "running") return;
    const endpoints = context.networks.endpointsOf(container.id);
    const exited: Container["state"] = {
      status: "exited",
      startedAtNs: state.startedAtNs,
      ended: { exitCode: exit.exitCode, finishedAtNs: exit.finishedAtNs, oomKilled: exit.oomKilled, error: exit.error ?? "" },
    };
    const report = (error: unknown, pauseMs?: number): void =>
      context.log.error({ container: container.id, error: messageOf(error), pauseMs }, "recording the end of a container: trying again");
    await retry(SOON_MS, () => record(context, container, exited), report).catch((error: unknown) => {
      report(error);
      container.state = exited;
      void recordLater(context, container, report);
    });
    await retry(SOON_MS, async () => announce(context, container, exit, state.startedAtNs, endpoints), report);
    if (container.hostConfig.AutoRemove && !container.beingRestarted) {
      await removeLocked(context, container).catch((error: unknown) => {
        context.log.error({ container: container.id, error: messageOf(error) }, "removing a container that was run with --rm");
      });
    }
    context.waiters.ended(container.id, { exitCode: exit.exitCode, error: exit.error });
  });
}

const SOON_MS = [100, 500];
const LATER_MS = 10_000;

async function record(context: ContainerContext, container: Container, exited: Container["state"]): Promise<void> {
  failpoint("containers.exit.begin");
  await takeDown(context, container);
  failpoint("containers.exit.takenDown");
  const running = container.state;
  container.state = exited;
  try {
    await context.set.save(container);
  } catch (error) {
    container.state = running;
    throw error;
  }
}

/** Until it is recorded, or started again or removed. */
async function recordLater(context: ContainerContext, container: Container, report: (error: unknown) => void): Promise<void> {
  const exited = container.state;
  const isStill = (): boolean => container.state === exited && context.set.find(container.id) === container;
  for (let isOpen = true; isOpen;) {
    await sleep(LATER_MS, undefined, { ref: false });
    await context.set
      .locked(container, async () => {
        if (isStill()) await record(context, container, exited);
      })
      .then(() => (isOpen = false), report);
  }
}

function announce(context: ContainerContext, container: Container, exit: Exit, startedAtNs: bigint, endpoints: readonly Endpoint[]): void {
  failpoint("containers.exit.saved");
  const seconds = (exit.finishedAtNs - startedAtNs) / 1_000_000_000n;
  publishContainerEvent(context, container, "die", { exitCode: String(exit.exitCode), execDuration: String(seconds) });
  for (const endpoint of endpoints) publishNetworkEvent(context, container, endpoint, "disconnect");
  publishVolumeEvents(context, container, "unmount");
}

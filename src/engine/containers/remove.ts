import { rm } from "node:fs/promises";

import { EngineError, messageOf } from "../../base/errors.ts";
import { failpoint } from "../../base/failpoint.ts";
import { retry } from "../../base/retry.ts";
import { paths } from "../../store/roots.ts";
import type { Container, Ended } from "./container.ts";
import { publishContainerEvent, type ContainerContext } from "./context.ts";
import { removeLink } from "./links.ts";
import { killAndWait } from "./stop.ts";
import { removeAnonymousVolumes } from "./volume-mounts.ts";

/** A full disk has room for the database a moment later: what was thrown away is being deleted. */
const PAUSES_MS = [500, 2000];

/** `DELETE /containers/{id}`. A running container goes only by force: it is killed first. */
export async function remove(
  context: ContainerContext,
  name: string,
  options: { force: boolean; volumes: boolean; link: boolean },
): Promise<void> {
  if (options.link) {
    await removeLink(context, name);
    return;
  }
  const container = context.set.get(name);
  if (container.state.status === "removing") {
    if (!options.force) throw new EngineError("conflict", `removal of container ${name} is already in progress`);
  }
  if (container.state.status === "running") {
    if (!options.force) {
      const why = container.state.paused
        ? "container is paused and must be unpaused first"
        : "container is running: stop the container before removing or force remove";
      throw new EngineError("conflict", `cannot remove container "/${container.name}": ${why}`);
    }
    await killAndWait(context, container);
  }
  await context.set.locked(container, async () => {
    if (options.volumes) container.removesVolumes = true;
    // Whoever came first (another remove, or --rm) has done it.
    if (context.set.find(container.id) === undefined) return;
    if (container.state.status === "running") {
      throw new EngineError("conflict", `cannot remove container "/${container.name}": it was started again meanwhile: remove it again`);
    }
    await removeLocked(context, container);
  });
}

/**
 * Removes a container that does not run; the caller holds its lock. The state `removing` is written down first, where there is room, so that
 * a daemon that comes up after a crash goes on with it.
 */
export async function removeLocked(context: ContainerContext, container: Container): Promise<void> {
  const { state } = container;
  const ended: Ended =
    state.status === "created" || state.status === "running"
      ? { exitCode: state.status === "created" ? state.exitCode : 0, finishedAtNs: 0n, oomKilled: false, error: "" }
      : state.ended;
  const startedAtNs = state.status === "created" ? 0n : state.startedAtNs;
  container.state = { status: "removing", ended, startedAtNs };
  try {
    context.set.saveSoon(container);
  } catch (error) {
    // On a full disk the removal is what makes room.
    context.log.warn({ container: container.id, error: messageOf(error) }, "a removal is not written down");
  }
  failpoint("containers.remove.marked");
  try {
    await retry(PAUSES_MS, async () => {
      await context.layers.removeWritable(container.id);
      failpoint("containers.remove.layer");
      // The keeper may be compressing a log in there still.
      await rm(paths.container(context.roots, container.id), { recursive: true, force: true, maxRetries: 3 });
      failpoint("containers.remove.folder");
      if (container.removesVolumes === true || container.hostConfig.AutoRemove) await removeAnonymousVolumes(context, container);
      failpoint("containers.remove.volumes");
      // What could not be written down when it ended.
      if (context.networks.endpointsOf(container.id).length > 0) await context.networks.leave(container.id);
      await context.set.delete(container);
    });
  } catch (error) {
    container.state = { status: "dead", ended: { ...ended, error: messageOf(error) }, startedAtNs };
    throw new EngineError("system", `removing container ${container.name}: ${messageOf(error)}: remove it again once that is mended`, {
      cause: error,
    });
  }
  context.execs.forgetContainer(container.id);
  publishContainerEvent(context, container, "destroy");
  context.waiters.removed(container.id, { exitCode: ended.exitCode, error: ended.error === "" ? undefined : ended.error });
}

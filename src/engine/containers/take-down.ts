import { rm, rmdir } from "node:fs/promises";

import { codeOf, messageOf } from "../../base/errors.ts";
import { retry } from "../../base/retry.ts";
import { paths } from "../../store/roots.ts";
import type { Container } from "./container.ts";
import { needsMounting, pinnedPlaces, removePlace, unmountVolumes } from "./volume-mounts.ts";
import type { ContainerContext } from "./context.ts";

/** A step that fails may succeed a moment later; then it is left to the doctor and the next start. */
const PAUSES_MS = [50, 500];

/**
 * Takes down what a container has while it runs: network, mount, the keeper's holdings, bundle. Idempotent. Goes on past what keeps
 * failing and only reports it, since a container whose process is gone must not stay `running`.
 */
export async function takeDown(
  context: ContainerContext,
  container: Pick<Container, "id" | "mounts">,
  unmount: (target: string) => Promise<void> = (target) => context.layers.unmountWritable(target),
): Promise<void> {
  const step = (what: string, work: () => Promise<void>): Promise<void> => {
    const report = (error: unknown): void =>
      context.log.error({ container: container.id, error: messageOf(error) }, `taking a container down: ${what}`);
    return retry(PAUSES_MS, work, report).catch(report);
  };
  await Promise.all([
    step("leaving its networks", () => context.networks.leave(container.id)),
    step("unmounting its root file system", () => unmount(paths.rootfs(context.roots, container.id))),
    step("letting go of its process", () => context.keeper.forgetContainer(container.id)),
  ]);
  if (needsMounting(container)) await step("unmounting its volumes", () => unmountVolumes(context, container));
  await step("removing its bundle", () => removeBundle(context, container.id));
}

/**
 * Removes a bundle. Its root file system and parts of volumes must be unmounted: a place that is still a mount point stops the removal, never
 * what is inside it.
 */
export async function removeBundle(context: ContainerContext, containerId: string): Promise<void> {
  await rmdir(paths.rootfs(context.roots, containerId)).catch((error: unknown) => {
    if (codeOf(error) !== "ENOENT") throw error;
  });
  for (const place of pinnedPlaces(context, containerId)) await removePlace(place);
  await rm(paths.bundle(context.roots, containerId), { recursive: true, force: true });
}

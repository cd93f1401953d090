import { rm, rmdir } from "node:fs/promises";

import { codeOf, messageOf } from "../../base/errors.ts";
import { paths } from "../../store/roots.ts";
import type { Container } from "./container.ts";
import type { ContainerContext } from "./context.ts";

/**
 * Takes down what a container has while it runs: network, mount, the keeper's holdings, bundle. Idempotent. Goes on past failures and
 * only reports them (the doctor and the next start find what is left), since a container whose process is gone must not stay `running`.
 */
export async function takeDown(context: ContainerContext, container: Container): Promise<void> {
  const steps = {
    "leaving its networks": context.networks.leave(container.id),
    "unmounting its root file system": context.layers.unmountWritable(paths.rootfs(context.roots, container.id)),
    "letting go of its process": context.keeper.forgetContainer(container.id),
  };
  const names = Object.keys(steps);
  const results = await Promise.allSettled(Object.values(steps));
  for (const [index, result] of results.entries()) {
    if (result.status === "fulfilled") continue;
    context.log.error({ container: container.id, error: messageOf(result.reason) }, `taking a container down: ${names[index]}`);
  }
  await removeBundle(context, container.id).catch((error: unknown) => {
    context.log.error({ container: container.id, error: messageOf(error) }, "taking a container down: removing its bundle");
  });
}

/** Removes a bundle. Its root file system must be unmounted: a folder that is still a mount point stops the removal, never what is inside it. */
export async function removeBundle(context: ContainerContext, containerId: string): Promise<void> {
  await rmdir(paths.rootfs(context.roots, containerId)).catch((error: unknown) => {
    if (codeOf(error) !== "ENOENT") throw error;
  });
  await rm(paths.bundle(context.roots, containerId), { recursive: true, force: true });
}

import { readPruneFilter } from "../../base/prune-filter.ts";
import type { ContainerContext } from "./context.ts";
import { remove } from "./remove.ts";

/** `POST /containers/prune`: removes what does not run and matches. Goes on past containers that cannot be removed. */
export async function prune(
  context: ContainerContext,
  filters: Map<string, string[]>,
): Promise<{ ContainersDeleted: string[] | null; SpaceReclaimed: number }> {
  const matches = readPruneFilter(filters);
  const deleted: string[] = [];
  for (const container of context.set.all()) {
    const { status } = container.state;
    if (
      (status !== "created" && status !== "exited" && status !== "dead") ||
      !matches({ createdNs: container.createdNs, labels: container.config.Labels })
    )
      continue;
    try {
      await remove(context, container.id, { force: false, volumes: false, link: false });
      deleted.push(container.id);
    } catch (error) {
      context.log.warn({ container: container.id, error }, "prune");
    }
  }
  context.events.publish({ type: "container", action: "prune", actor: { id: "", attributes: { reclaimed: "0" } } });
  return { ContainersDeleted: deleted.length === 0 ? null : deleted, SpaceReclaimed: 0 };
}

import { EngineError } from "../../base/errors.ts";
import { pidsInCgroup } from "../../kernel/cgroup-layout.ts";
import { statusOf } from "./container.ts";
import { publishContainerEvent, type ContainerContext } from "./context.ts";
import { cgroupsPathOf } from "./oci-spec.ts";
import { topTable } from "./top-table.ts";

/** `GET /containers/{id}/top`: the host's `ps`, only the rows of this container. */
export async function top(
  context: ContainerContext,
  name: string,
  psArguments: string,
): Promise<{ Titles: string[]; Processes: string[][] }> {
  const container = context.set.get(name);
  const status = statusOf(container);
  if (status === "restarting") throw new EngineError("conflict", `Container ${name} is restarting, wait until the container is running`);
  if (status !== "running" && status !== "paused") throw new EngineError("conflict", `container ${container.id} is not running`);
  const pids = await pidsInCgroup(context.host.cgroups, cgroupsPathOf(container, context.settings.cgroupParent));
  const table = await topTable(pids, psArguments === "" ? "-ef" : psArguments);
  publishContainerEvent(context, container, "top");
  return table;
}

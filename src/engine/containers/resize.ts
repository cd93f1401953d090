import { EngineError } from "../../base/errors.ts";
import { isRunning } from "./container.ts";
import { publishContainerEvent, type ContainerContext } from "./context.ts";

/** `POST /containers/{id}/resize` */
export async function resize(context: ContainerContext, name: string, size: { rows: number; columns: number }): Promise<void> {
  const container = context.set.get(name);
  if (!isRunning(container)) throw new EngineError("conflict", `cannot resize a stopped container: ${container.id}`);
  await context.keeper.resize({ containerId: container.id }, size);
  publishContainerEvent(context, container, "resize", { height: String(size.rows), width: String(size.columns) });
}

import { EngineError } from "../../base/errors.ts";
import type { Container } from "./container.ts";
import { publishContainerEvent, type ContainerContext } from "./context.ts";

/** `POST /containers/{id}/pause`: freezes every process of a running container. */
export async function pause(context: ContainerContext, name: string): Promise<void> {
  await setPaused(context, context.set.get(name), true);
}

/** `POST /containers/{id}/unpause` */
export async function unpause(context: ContainerContext, name: string): Promise<void> {
  await setPaused(context, context.set.get(name), false);
}

async function setPaused(context: ContainerContext, container: Container, paused: boolean): Promise<void> {
  await context.set.locked(container, async () => {
    const { state } = container;
    if (state.status !== "running") throw new EngineError("conflict", `container ${container.id} is not running`);
    if (paused && state.paused) throw new EngineError("conflict", `container ${container.id} is already paused`);
    // Docker answers 500 here (still in 28.2.2); 409 is what its own documentation says of a container in the wrong state.
    if (!paused && !state.paused) throw new EngineError("conflict", `container ${container.id} is not paused`);
    if (paused) await context.keeper.pause(container.id);
    else await context.keeper.unpause(container.id);
    container.state = { ...state, paused };
    await context.set.save(container);
    publishContainerEvent(context, container, paused ? "pause" : "unpause");
  });
}

import type { WaitResult } from "./containers.ts";
import type { ContainerContext } from "./context.ts";

/** `POST /containers/{id}/wait`: armed when this returns. */
export function wait(
  context: ContainerContext,
  name: string,
  condition: "not-running" | "next-exit" | "removed",
  signal?: AbortSignal,
): { ended: Promise<WaitResult> } {
  const container = context.set.get(name);
  const { state } = container;
  if (condition === "removed") return { ended: context.waiters.wait(container.id, "removed", signal) };
  if (condition === "next-exit" || state.status === "running") return { ended: context.waiters.wait(container.id, "ended", signal) };
  const result =
    state.status === "created" ? { exitCode: state.exitCode, error: undefined } : { exitCode: state.ended.exitCode, error: undefined };
  return { ended: Promise.resolve(result) };
}

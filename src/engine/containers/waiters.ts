import type { WaitResult } from "./containers.ts";

/**
 * Who waits for which container (`POST /containers/{id}/wait`, and our own stop and remove). A wait is armed when `wait` returns; what happens later
 * resolves it.
 */
export interface Waiters {
  wait(containerId: string, until: "ended" | "removed", signal?: AbortSignal): Promise<WaitResult>;
  /** The container's process has ended and everything of it is taken down. */
  ended(containerId: string, result: WaitResult): void;
  /** The container is gone; also resolves who waits for its end. */
  removed(containerId: string, result: WaitResult): void;
}

interface Waiter {
  until: "ended" | "removed";
  resolve: (result: WaitResult) => void;
}

export function openWaiters(): Waiters {
  const waiting = new Map<string, Set<Waiter>>();

  const settle = (containerId: string, result: WaitResult, which: (waiter: Waiter) => boolean): void => {
    const waiters = waiting.get(containerId);
    if (waiters === undefined) return;
    for (const waiter of waiters) {
      if (!which(waiter)) continue;
      waiters.delete(waiter);
      waiter.resolve(result);
    }
    if (waiters.size === 0) waiting.delete(containerId);
  };

  return {
    wait(containerId, until, signal) {
      return new Promise((resolve, reject) => {
        const waiter: Waiter = { until, resolve };
        const waiters = waiting.get(containerId) ?? new Set();
        waiting.set(containerId, waiters.add(waiter));
        signal?.addEventListener(
          "abort",
          () => {
            waiters.delete(waiter);
            if (waiters.size === 0 && waiting.get(containerId) === waiters) waiting.delete(containerId);
            reject(signal.reason);
          },
          { once: true },
        );
      });
    },
    ended: (containerId, result) => settle(containerId, result, (waiter) => waiter.until === "ended"),
    removed: (containerId, result) => settle(containerId, result, () => true),
  };
}

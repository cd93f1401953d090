import { setTimeout as sleep } from "node:timers/promises";

/**
 * Runs `work` until it succeeds, pausing between two tries as long as `pausesMs` says; when that ends, the last failure is thrown.
 * `failed` hears of every failure that is followed by another try.
 */
export async function retry<T>(
  pausesMs: Iterable<number>,
  work: () => Promise<T>,
  failed?: (error: unknown, pauseMs: number) => void,
): Promise<T> {
  for (const pauseMs of pausesMs) {
    try {
      return await work();
    } catch (error) {
      failed?.(error, pauseMs);
      await sleep(pauseMs, undefined, { ref: false });
    }
  }
  return work();
}

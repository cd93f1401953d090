/** At most so many pieces of work at once; the others wait in line, in the order they came. */
export interface Turns {
  run: <T>(work: () => Promise<T>, onWaiting: () => void, signal: AbortSignal) => Promise<T>;
}

export function openTurns(count: number): Turns {
  let free = count;
  const line = new Set<() => void>();

  const take = (onWaiting: () => void, signal: AbortSignal): Promise<void> => {
    signal.throwIfAborted();
    if (free > 0) {
      free -= 1;
      return Promise.resolve();
    }
    onWaiting();
    return new Promise((resolve, reject) => {
      const next = (): void => {
        signal.removeEventListener("abort", abort);
        resolve();
      };
      const abort = (): void => {
        if (line.delete(next)) reject(signal.reason instanceof Error ? signal.reason : new Error("canceled"));
      };
      line.add(next);
      signal.addEventListener("abort", abort, { once: true });
    });
  };
  const give = (): void => {
    for (const next of line) {
      line.delete(next);
      return next();
    }
    free += 1;
  };

  return {
    async run(work, onWaiting, signal) {
      await take(onWaiting, signal);
      try {
        return await work();
      } finally {
        give();
      }
    },
  };
}

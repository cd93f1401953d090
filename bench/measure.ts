/** How often each row of a bench is measured. */
export const ROUNDS = 7;

export interface Measured {
  add(timeMs: number): void;
  /** Writes the median and, in brackets, the lowest and the highest, in milliseconds. */
  tell(): void;
}

/** Of work that fails there is no time: it rejects. */
export async function timed(work: () => Promise<unknown>): Promise<number> {
  const begin = performance.now();
  await work();
  return performance.now() - begin;
}

export function median(times: readonly number[]): number {
  return times.toSorted((a, b) => a - b)[times.length >> 1] ?? 0;
}

export function measured(name: string): Measured {
  const times: number[] = [];
  return {
    add: (timeMs) => void times.push(timeMs),
    tell() {
      const range = `(${Math.min(...times).toFixed(1)}–${Math.max(...times).toFixed(1)})`;
      console.log(name.padEnd(52), median(times).toFixed(1).padStart(7), range);
    },
  };
}

export async function row(name: string, once: (round: number) => Promise<number>): Promise<void> {
  const times = measured(name);
  for (let round = 0; round < ROUNDS; round += 1) times.add(await once(round));
  times.tell();
}

import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";

import { LoopLag } from "./lag.ts";

test("tells how long the loop was held up, from the first request on and since the last reset", async () => {
  using lag = new LoopLag();
  expect(lag.report(false)).toMatchObject({ measured: false, delay: { max: 0 } });
  await sleep(5);
  // Neither computing nor ready to: asleep in a system call.
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 60);
  await sleep(5);
  const { measured, delay, own, sinceMs } = lag.report(true);
  expect(measured).toBe(true);
  expect(sinceMs).toBeGreaterThanOrEqual(60);
  expect(delay.max).toBeGreaterThanOrEqual(58);
  expect(own.max).toBeGreaterThanOrEqual(50);
  expect(own.max).toBeLessThanOrEqual(delay.max);
  expect(lag.report(false).delay.max).toBe(0);
});

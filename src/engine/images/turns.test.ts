import { setImmediate as nextTurn } from "node:timers/promises";
import { expect, test } from "vitest";

import { openTurns } from "./turns.ts";

test("so many at once, the others in the order they came; one that gives up leaves the line", async () => {
  const turns = openTurns(2);
  const begun: string[] = [];
  const waiting: string[] = [];
  const finish = new Map<string, () => void>();
  const start = (name: string, signal = new AbortController().signal): Promise<void> => {
    const work = (): Promise<void> => {
      begun.push(name);
      return new Promise((resolve) => finish.set(name, resolve));
    };
    return turns.run(work, () => waiting.push(name), signal);
  };
  const impatient = new AbortController();
  const [a, , c] = [start("a"), start("b"), start("c", impatient.signal)];
  const failing = turns.run(
    () => Promise.reject(new Error("broken")),
    () => waiting.push("failing"),
    new AbortController().signal,
  );
  const last = start("last");
  await nextTurn();
  expect([begun, waiting]).toEqual([
    ["a", "b"],
    ["c", "failing", "last"],
  ]);
  impatient.abort(new Error("gone"));
  await expect(c).rejects.toThrow("gone");
  finish.get("a")?.();
  await a;
  await expect(failing).rejects.toThrow("broken");
  await nextTurn();
  expect(begun).toEqual(["a", "b", "last"]);
  finish.get("last")?.();
  await last;
});

import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, test } from "vitest";

import { useDaemon } from "./harness.ts";

/**
 * Every step of every multi-step operation, broken once by an error and once by the daemon's death. Afterwards the machine must be clean:
 * after an error at once, after a crash when the daemon has come up again. The steps are read from the sources, so a new one is tested
 * from the day it is written.
 */

const daemon = useDaemon();
const failpoints = findFailpoints();

/** Failpoints that the sequence below does not pass; each is exercised by the test named. */
const ELSEWHERE: Record<string, string> = {};

const passed = failpoints.filter((name) => ELSEWHERE[name] === undefined);

/** Passes create, start, stop, remove, and the end of a container by itself. */
async function sequence(): Promise<void> {
  const tsubo = (...args: string[]): Promise<unknown> => daemon().tsubo(...args);
  await tsubo("run", "-d", "--name", "a", "-p", "127.0.0.1:0:80", "busybox", "sleep", "1000");
  await tsubo("exec", "a", "true");
  await tsubo("stop", "-t", "0", "a");
  await tsubo("rm", "-f", "a");
  await tsubo("run", "--rm", "--name", "b", "busybox", "true");
}

test("the sources have failpoints", () => {
  expect(failpoints.length).toBeGreaterThan(10);
});

describe.each(passed)("%s", (name) => {
  test("an error there is undone", async () => {
    await daemon().stop();
    await daemon().start({ failpoints: `${name}=error@1` });
    await sequence();
    await daemon().expectClean();
    await daemon().stop();
    await daemon().start();
  });

  test("a crash there is recovered from", async () => {
    await daemon().stop();
    await daemon().start({ failpoints: `${name}=crash@1` });
    await sequence();
    const crashed = daemon().pid() === undefined;
    if (!crashed) await daemon().stop();
    await daemon().start();
    await daemon().expectClean();
    expect(crashed, "the sequence passes this failpoint").toBe(true);
    expect(await daemon().tsuboOk("run", "--rm", "busybox", "echo", "works")).toBe("works");
  });
});

function findFailpoints(): string[] {
  const root = path.resolve(import.meta.dirname, "../src");
  const files = readdirSync(root, { recursive: true, encoding: "utf8" }).filter(
    (file) => file.endsWith(".ts") && !file.endsWith(".test.ts"),
  );
  const names = files
    .filter((file) => file !== "base/failpoint.ts")
    .flatMap((file) =>
      [...readFileSync(path.join(root, file), "utf8").matchAll(/\bfailpoint\(\s*"([^"]+)"/g)].map(([, name = ""]) => name),
    );
  return names.toSorted();
}

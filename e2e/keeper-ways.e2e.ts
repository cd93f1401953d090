import { readdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterEach, describe, expect, test } from "vitest";

import { paths } from "../src/store/roots.ts";
import { openPlace, until, type Place } from "./keeper/place.ts";

/** The faster ways to drive crun (kernel/runtime.ts), each against the way without it: what a container gets, does and leaves is the same. */

let place: Place | undefined;
afterEach(async () => {
  const open = place;
  place = undefined;
  await open?.close();
});

const WAYS = ["sealedBinary", "compiledSeccomp", "execFifo", "directDelete", "directFreezer"];

/** A profile that refuses mkdir, and everything else of a process that a runtime decides. */
const LOOK = `mkdir /tmp/x 2>&1; grep -E '^(Cap|Seccomp:|NoNewPrivs|SigIgn|SigBlk)' /proc/self/status; cat /proc/1/cmdline | tr '\\0' ' '; ls /dev /proc/self/fd | tr '\\n' ' '; exit 3`;

async function observe(without: string[]): Promise<unknown> {
  place = await openPlace({ without });
  const seen: unknown[] = [];
  // The second one gets the filter that was compiled for the first.
  for (const id of ["first", "second"]) {
    const exit = await place.run(id, ["sh", "-c", LOOK], { seccomp: true });
    seen.push([exit.exitCode, place.logOf(id).map(({ log }) => log.trim())]);
  }
  const spec = place.container("paused", ["sleep", "60"], { seccomp: true });
  await place.keeper.startContainer(spec);
  await place.keeper.pause("paused");
  await place.keeper.unpause("paused");
  const process = { terminal: false, user: { uid: 0, gid: 0 }, args: ["mkdir", "/tmp/y"], env: ["PATH=/bin"], cwd: "/" };
  const target = { containerId: "paused", execId: "exec" };
  await place.keeper.startExec({ ...target, runtime: spec.runtime, process, tty: false, openStdin: false, memo: "" });
  seen.push((await place.exitOf(target)).exitCode);
  await place.keeper.signal({ containerId: "paused" }, 9);
  seen.push((await place.exitOf({ containerId: "paused" })).exitCode);
  await place.keeper.forgetContainer("paused");
  await place.close();
  place = undefined;
  return seen;
}

describe("what is seen without a faster way is what is seen with all", () => {
  test.each([...WAYS.map((way) => [way]), WAYS])("%s", async (...without) => {
    const plain = await observe(without);
    expect(JSON.stringify(plain)).toContain("mkdir: can't create directory '/tmp/x': Operation not permitted");
    expect(plain).toEqual(await observe([]));
  });
});

test("a compiled filter that the runtime cannot read gives way to the profile itself", async () => {
  const here = await openPlace();
  place = here;
  await here.run("first", ["true"], { seccomp: true });
  await here.keeper.shutdown();
  await until(() => here.keeperPids().length === 0, "the keeper's end");
  const filters = paths.seccompFilters(here.roots);
  const [compiled = ""] = readdirSync(filters);
  writeFileSync(path.join(filters, compiled), Buffer.alloc(8, 0xff));
  await here.reconnect();
  const exit = await place.run("second", ["sh", "-c", LOOK], { seccomp: true });
  expect(exit.exitCode).toBe(3);
  expect(place.logOf("second").map(({ log }) => log)).toContain("mkdir: can't create directory '/tmp/x': Operation not permitted\n");
});

test("a container that runs out of memory is told so", async () => {
  place = await openPlace();
  const exit = await place.run("hungry", ["sh", "-c", "x=$(head -c 100000000 /dev/zero | tr '\\0' x); echo lived"], {
    memoryBytes: 16 << 20,
  });
  expect(exit).toMatchObject({ exitCode: 137, oomKilled: true });
  expect(place.events).toContainEqual({ type: "oom", containerId: "hungry" });
});

test("fifty at once", async () => {
  const here = await openPlace();
  place = here;
  const exits = await Promise.all(
    Array.from({ length: 50 }, (_none, index) =>
      here.run(`many-${index}`, ["sh", "-c", `echo ${index}; exit ${index}`], { seccomp: true }),
    ),
  );
  expect(exits.map(({ exitCode }) => exitCode)).toEqual(exits.map((_exit, index) => index));
  for (const index of exits.keys()) expect(here.logOf(`many-${index}`)).toMatchObject([{ log: `${index}\n` }]);
});

import { readdirSync, readFileSync } from "node:fs";
import { expect, test, vi } from "vitest";

import { paths } from "../src/store/roots.ts";
import { context, startBuild } from "./build/build.ts";
import { useDaemon } from "./harness.ts";

/** Builds whose client goes away: they stop at once and leave nothing. The harness looks for processes, mounts and cgroups. */

const daemon = useDaemon();
const SOON = { timeout: 10_000, interval: 20 };
/** A word on a command line that no other process has. */
const MARK = "7654321";

async function expectNothingLeft(imagesBefore: number): Promise<void> {
  const { roots } = daemon();
  await vi.waitFor(() => {
    expect(readdirSync(paths.builds(roots))).toEqual([]);
    expect(readFileSync("/proc/self/mountinfo", "utf8")).not.toContain(`${roots.data}/builds`);
    expect(processesWith(MARK)).toEqual([]);
  }, SOON);
  expect(await images()).toBe(imagesBefore);
}

async function images(): Promise<number> {
  return ((await daemon().api("GET", "/images/json?all=1")).json() as unknown[]).length;
}

test("while a RUN runs", async () => {
  const before = await images();
  const running = startBuild(daemon(), context(`FROM busybox\nRUN echo begun; sleep ${MARK}\n`));
  await running.says("begun\n");
  running.leave();
  await expectNothingLeft(before);
});

test("while two stages run", async () => {
  const before = await images();
  const stage = (name: string): string => `FROM busybox AS ${name}\nRUN echo begun; sleep ${MARK} # ${name}\n`;
  const running = startBuild(daemon(), context(`${stage("a")}${stage("b")}FROM busybox\nCOPY --from=a /x /\nCOPY --from=b /x /\n`));
  await running.says("begun\n");
  await vi.waitFor(() => expect(processesWith(MARK).length).toBeGreaterThanOrEqual(2), SOON);
  running.leave();
  await expectNothingLeft(before);
});

test("while files are copied", async () => {
  const before = await images();
  const files = Array.from({ length: 20_000 }, (_, index) => ({ name: `many/${index}`, content: `${index}` }));
  const running = startBuild(daemon(), context("FROM busybox\nCOPY many /many\n", ...files));
  await running.says("COPY many");
  running.leave();
  await expectNothingLeft(before);
});

test("while the context is sent", async () => {
  const before = await images();
  const whole = context("FROM busybox\nCOPY big /\n", { name: "big", content: Buffer.alloc(8 * 1024 ** 2, 1) });
  const running = startBuild(daemon(), whole.subarray(0, whole.length / 2), { isWhole: false });
  await vi.waitFor(() => expect(readdirSync(paths.builds(daemon().roots))).toHaveLength(1), SOON);
  running.leave();
  await expectNothingLeft(before);
});

test("two in which the same step fails both hear why", async () => {
  const archive = context("FROM busybox\nRUN sleep 0.5; exit 9\n");
  const said = await Promise.all([startBuild(daemon(), archive).end, startBuild(daemon(), archive).end]);
  const why = "The command '/bin/sh -c sleep 0.5; exit 9' returned a non-zero code: 9";
  expect(said.map(({ error }) => error)).toEqual([why, why]);
});

function processesWith(word: string): string[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(word);
      } catch {
        return false;
      }
    });
}

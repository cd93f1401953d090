import { readdirSync, readFileSync } from "node:fs";
import { beforeEach, describe, expect, test, vi } from "vitest";

import { paths } from "../src/store/roots.ts";
import { build, context, startBuild } from "./build/build.ts";
import { useDaemon } from "./harness.ts";

/** A daemon that dies in the middle of a build: the next one clears up, and the steps that were done are cached. */

const daemon = useDaemon();
const SOON = { timeout: 10_000, interval: 20 };

describe("killed in the middle of a step", () => {
  test("the step's process ends, nothing is left, steps that were done are cached", async () => {
    const running = startBuild(daemon(), context("FROM busybox\nRUN echo done > /done\nRUN echo begun; sleep 8765432\n"));
    await running.says("begun\n");
    await vi.waitFor(async () => {
      const images = (await daemon().api("GET", "/images/json?all=1")).json() as { RepoTags: string[] | null }[];
      expect(images.length).toBeGreaterThan(1);
    }, SOON);
    await daemon().kill();
    await daemon().start();
    await vi.waitFor(() => {
      expect(readdirSync(paths.builds(daemon().roots))).toEqual([]);
      expect(commandLines().filter((line) => line.includes("8765432"))).toEqual([]);
    }, SOON);
    const again = await build(daemon(), context("FROM busybox\nRUN echo done > /done\nRUN cat /done\n"));
    expect(again).toMatchObject({ error: "", text: expect.stringMatching(/RUN echo done.*\n ---> Using cache\n[^]*\ndone\n/) as string });
  });

  test("while the context is sent", async () => {
    const whole = context("FROM busybox\n", { name: "big", content: Buffer.alloc(4 * 1024 ** 2, 1) });
    startBuild(daemon(), whole.subarray(0, whole.length / 2), { isWhole: false });
    await vi.waitFor(() => expect(readdirSync(paths.builds(daemon().roots))).toHaveLength(1), SOON);
    await daemon().kill();
    await daemon().start();
    expect(readdirSync(paths.builds(daemon().roots))).toEqual([]);
  });
});

describe.each(["layers.commit.synced", "layers.commit.written", "layers.staged.unmounted"])("a failure at %s", (name) => {
  let archive: Buffer;
  beforeEach(() => {
    archive = context("FROM busybox\nRUN cat /proc/sys/kernel/random/uuid > /id\nCOPY Dockerfile /\nWORKDIR /w\n");
  });

  test("is told when the layer is lost by it, and the next build works", async () => {
    await restart(`${name}=error@1`);
    const { error } = await build(daemon(), archive, "nocache=1");
    expect(error.includes(name)).toBe(name.startsWith("layers.commit"));
    expect((await build(daemon(), archive)).error).toBe("");
  });

  test("that ends the daemon leaves nothing, and the next build works", async () => {
    await restart(`${name}=crash@1`);
    const running = startBuild(daemon(), archive, { query: "nocache=1" });
    expect(await daemon().waitForEnd(20_000)).toBe(true);
    running.leave();
    await daemon().start();
    expect(readdirSync(paths.builds(daemon().roots))).toEqual([]);
    expect((await build(daemon(), archive)).error).toBe("");
  });
});

async function restart(failpoints: string): Promise<void> {
  await daemon().stop();
  await daemon().start({ failpoints });
}

function commandLines(): string[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, "utf8");
      } catch {
        return "";
      }
    });
}

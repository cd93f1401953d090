import { readdirSync } from "node:fs";
import { beforeEach, describe, expect, test, vi } from "vitest";

import { paths } from "../src/store/roots.ts";
import { build, context, startBuild } from "./build/build.ts";
import { useDaemon } from "./harness.ts";

/** Builds whose layers cannot be made durable, by an error or by the death of the daemon: the next build has everything. */

const daemon = useDaemon();

test("killed while the context is sent", async () => {
  const whole = context("FROM busybox\n", { name: "big", content: Buffer.alloc(4 * 1024 ** 2, 1) });
  startBuild(daemon(), whole.subarray(0, whole.length / 2), { isWhole: false });
  await vi.waitFor(() => expect(readdirSync(paths.builds(daemon().roots))).toHaveLength(1), { timeout: 10_000, interval: 20 });
  await daemon().kill();
  await daemon().start();
  expect(readdirSync(paths.builds(daemon().roots))).toEqual([]);
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

import { mkdirSync } from "node:fs";
import { expect, test, vi } from "vitest";

import { openTestDaemon } from "../src/testing/daemon.ts";
import { run } from "../src/testing/run.ts";
import { build, context } from "./build/build.ts";

/** Builds on a disk that is too small: an error that says so, nothing left that takes room, and smaller builds go on. */

test("a disk that builds do not fit on", { timeout: 60_000 }, async () => {
  const daemon = await openTestDaemon();
  mkdirSync(daemon.roots.data, { recursive: true });
  expect(await run(["mount", "-t", "tmpfs", "-o", "size=40m", "small", daemon.roots.data])).toMatchObject({ code: 0 });
  try {
    await daemon.start();
    await daemon.api("POST", "/images/create?fromImage=busybox&tag=latest");
    const big = Buffer.alloc(24 * 1024 ** 2, 1);
    for (const archive of [
      context("FROM busybox\nCOPY big /\nCOPY big /again\n", { name: "big", content: big }),
      context("FROM busybox\n", { name: "big", content: Buffer.concat([big, big]) }),
    ]) {
      expect((await build(daemon, archive)).error).toMatch(/no space left on device/);
    }
    const filled = await build(daemon, context("FROM busybox\nRUN dd if=/dev/zero of=/big bs=1M\n"));
    expect(filled).toMatchObject({
      text: expect.stringContaining("No space left on device") as string,
      error: expect.stringMatching(/code: 1$/) as string,
    });
    // What was thrown away goes in the background.
    const small = context("FROM busybox\nRUN echo small > /small\nCOPY Dockerfile /\n");
    await vi.waitFor(async () => expect(await build(daemon, small)).toMatchObject({ error: "" }), { timeout: 10_000, interval: 100 });
    // What could not be written down is cleared up by the next start.
    await daemon.stop();
    await daemon.start();
    await daemon.expectClean();
  } finally {
    await daemon.stop();
    await run(["umount", daemon.roots.data]);
    await daemon.close();
  }
});

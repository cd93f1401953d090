import { mkdirSync } from "node:fs";
import { expect, test } from "vitest";

import { openTestDaemon, type TestDaemon } from "../src/testing/daemon.ts";
import { run } from "../src/testing/run.ts";

/** Containers on a disk that is full: nobody hangs, what runs goes on, what cannot be done says why, and removing makes room. */

const NO_SPACE = "no space left on device";

test("a disk that a container has filled", { timeout: 60_000 }, async () => {
  const daemon = await openTestDaemon();
  mkdirSync(daemon.roots.data, { recursive: true });
  await mustRun("mount", "-t", "tmpfs", "-o", "size=24m", "small", daemon.roots.data);
  try {
    await daemon.start();
    await daemon.dockerOk("run", "-d", "--name", "keep", "busybox", "sh", "-c", "trap 'exit 6' TERM; while :; do sleep 0.1; done");
    await daemon.dockerOk("create", "--name", "idle", "busybox", "true");
    const filled = await daemon.docker("run", "--name", "filler", "busybox", "dd", "if=/dev/zero", "of=/big", "bs=64k");
    expect([filled.code, filled.stderr]).toEqual([1, expect.stringContaining("No space left on device")]);

    for (const command of [
      ["run", "--rm", "busybox", "true"],
      ["create", "busybox", "true"],
      ["start", "idle"],
    ]) {
      const refused = await daemon.docker(...command);
      expect([command, refused.code === 0, refused.stderr.toLowerCase()]).toEqual([command, false, expect.stringContaining(NO_SPACE)]);
    }
    expect(await daemon.dockerOk("inspect", "-f", "{{.State.Status}} {{.State.ExitCode}}", "filler")).toBe("exited 1");
    await daemon.dockerOk("stop", "keep");
    expect(await daemon.dockerOk("inspect", "-f", "{{.State.Status}} {{.State.ExitCode}}", "keep")).toBe("exited 6");

    await daemon.dockerOk("rm", "filler");
    expect(await daemon.dockerOk("run", "--rm", "busybox", "echo", "again")).toBe("again");
    await daemon.dockerOk("start", "-a", "idle");
    await daemon.expectClean();
  } finally {
    await closeOn(daemon);
  }
});

async function closeOn(daemon: TestDaemon): Promise<void> {
  await daemon.stop();
  await mustRun("umount", daemon.roots.data);
  await daemon.close();
}

async function mustRun(...command: string[]): Promise<void> {
  const { code, stderr } = await run(command);
  if (code !== 0) throw new Error(`${command.join(" ")}: ${stderr}`);
}

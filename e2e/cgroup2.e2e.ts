import { expect, test } from "vitest";

import { useDaemon } from "./harness.ts";

/** What most hosts have today: one hierarchy for all. Limits are not tested where v1 has the controllers. */

const daemon = useDaemon({ cgroup2: true });

test("the daemon knows where it is", async () => {
  expect(await daemon().dockerOk("info", "--format", "{{.CgroupVersion}} {{.CgroupDriver}}")).toBe("2 cgroupfs");
});

test("a container has a group and a namespace of its own, and ends with its exit code", async () => {
  const ran = await daemon().docker(
    "run",
    "--rm",
    "busybox",
    "sh",
    "-c",
    "grep ^0: /proc/self/cgroup; ls -d /sys/fs/cgroup/cgroup.procs; exit 7",
  );
  expect(ran).toEqual({ code: 7, stdout: "0::/\n/sys/fs/cgroup/cgroup.procs\n", stderr: "" });
});

test("pause stops all of it, exec included, and unpause lets it go on", async () => {
  await daemon().dockerOk("run", "-d", "--name", "box", "busybox", "sh", "-c", "while :; do echo tick; sleep 0.05; done");
  expect(await daemon().dockerOk("exec", "box", "echo", "hi")).toBe("hi");
  const ticks = async (): Promise<number> => (await daemon().dockerOk("logs", "box")).split("\n").length;
  await daemon().dockerOk("pause", "box");
  const paused = await ticks();
  await new Promise((resolve) => setTimeout(resolve, 300));
  expect(await ticks()).toBe(paused);
  await daemon().dockerOk("unpause", "box");
  await expect.poll(ticks, { timeout: 5000 }).toBeGreaterThan(paused);
  await daemon().dockerOk("stop", "-t", "0", "box");
  expect(await daemon().dockerOk("inspect", "-f", "{{.State.ExitCode}}", "box")).toBe("137");
});

test("it is all found again after kill -9", async () => {
  await daemon().dockerOk("run", "-d", "--name", "box", "busybox", "sh", "-c", "sleep 1; exit 4");
  await daemon().kill();
  await daemon().start();
  expect(await daemon().dockerOk("wait", "box")).toBe("4");
});

import { describe, expect, test } from "vitest";

import { useDaemon } from "./harness.ts";

/** Nothing that a container does may depend on the daemon, and no output or exit code on the keeper alone. */

const daemon = useDaemon();
const tsubo = (...args: string[]): Promise<string> => daemon().dockerOk(...args);
const COUNT_TO_20 = "for i in $(seq 20); do echo line $i; sleep 0.1; done; exit 9";
const LINES = Array.from({ length: 20 }, (_, index) => `line ${index + 1}\n`).join("");

describe("kill -9 of the daemon", () => {
  test("a container that runs goes on: same process, whole log, its exit code", async () => {
    await tsubo("run", "-d", "--name", "box", "busybox", "sh", "-c", COUNT_TO_20);
    const pid = await tsubo("inspect", "-f", "{{.State.Pid}}", "box");
    await daemon().kill();
    await daemon().start();
    expect(await tsubo("inspect", "-f", "{{.State.Running}} {{.State.Pid}}", "box")).toBe(`true ${pid}`);
    expect(await tsubo("wait", "box")).toBe("9");
    expect(await tsubo("logs", "box")).toBe(LINES.trim());
  });

  test("a container that ends while there is no daemon is found with its exit code and log", async () => {
    await tsubo("run", "-d", "--name", "box", "busybox", "sh", "-c", "sleep 0.5; echo last words; exit 3");
    const pid = Number(await tsubo("inspect", "-f", "{{.State.Pid}}", "box"));
    await daemon().kill();
    await expect.poll(() => isThere(pid), { timeout: 10_000 }).toBe(false);
    await daemon().start();
    expect(await tsubo("inspect", "-f", "{{.State.Status}} {{.State.ExitCode}}", "box")).toBe("exited 3");
    expect(await tsubo("logs", "box")).toBe("last words");
  });

  test("networks and published ports go on and are found again", async () => {
    await tsubo("run", "-d", "--name", "box", "-p", "127.0.0.1:0:80", "busybox", "sh", "-c", "echo served > /i; exec httpd -f -h /");
    const address = await tsubo("port", "box", "80");
    const fetched = async (): Promise<string> => (await fetch(`http://${address}/i`)).text();
    await expect.poll(() => fetched().catch(() => "")).toBe("served\n");
    await daemon().kill();
    expect(await fetched()).toBe("served\n");
    await daemon().start();
    expect(await fetched()).toBe("served\n");
    expect(await tsubo("port", "box", "80")).toBe(address);
  });

  test("an exec goes on; what it is and how it ended are known afterwards", async () => {
    await tsubo("run", "-d", "--name", "box", "busybox", "sleep", "1000");
    const config = { Cmd: ["sh", "-c", "sleep 1; exit 5"], User: "65534", AttachStdout: true };
    const { Id } = (await daemon().api("POST", "/containers/box/exec", config)).json() as { Id: string };
    await daemon().api("POST", `/exec/${Id}/start`, { Detach: true });
    await daemon().kill();
    await daemon().start();
    const inspect = async (): Promise<unknown> => (await daemon().api("GET", `/exec/${Id}/json`)).json();
    const ProcessConfig = { entrypoint: "sh", arguments: ["-c", "sleep 1; exit 5"], user: "65534", tty: false };
    expect(await inspect()).toMatchObject({ ProcessConfig, OpenStdout: true });
    await expect.poll(inspect, { timeout: 10_000 }).toMatchObject({ Running: false, ExitCode: 5, ProcessConfig });
  });

  test("a stop by SIGTERM leaves containers alone too", async () => {
    await tsubo("run", "-d", "--name", "box", "busybox", "sleep", "1000");
    const pid = await tsubo("inspect", "-f", "{{.State.Pid}}", "box");
    await daemon().stop();
    await daemon().start();
    expect(await tsubo("inspect", "-f", "{{.State.Running}} {{.State.Pid}}", "box")).toBe(`true ${pid}`);
  });
});

describe("kill -9 of the keeper", () => {
  test("a container goes on; no line and no exit code is lost", async () => {
    await tsubo("run", "-d", "--name", "box", "busybox", "sh", "-c", COUNT_TO_20);
    await expect.poll(() => tsubo("logs", "box")).toContain("line 3");
    await daemon().killKeeper();
    expect(await tsubo("wait", "box")).toBe("9");
    expect(await tsubo("logs", "box")).toBe(LINES.trim());
  });

  test("new containers start under a new keeper", async () => {
    await tsubo("run", "-d", "--name", "old", "busybox", "sleep", "1000");
    await daemon().killKeeper();
    await expect.poll(async () => (await daemon().docker("run", "--rm", "busybox", "echo", "hi")).stdout, { timeout: 10_000 }).toBe("hi\n");
    expect(await tsubo("exec", "old", "echo", "still here")).toBe("still here");
    await tsubo("stop", "-t", "0", "old");
    expect(await tsubo("inspect", "-f", "{{.State.ExitCode}}", "old")).toBe("137");
  });
});

test("a second daemon on the same data root refuses", async () => {
  const { roots } = daemon();
  const second = await daemon().run([
    daemon().pathOf("tsubod"),
    `--data-root=${roots.data}`,
    `--exec-root=${roots.exec}2`,
    `--host=unix://${roots.exec}2.sock`,
    `--bridge=${daemon().bridge}`,
  ]);
  expect(second.code).not.toBe(0);
  expect(second.stderr).toContain(roots.data);
});

function isThere(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

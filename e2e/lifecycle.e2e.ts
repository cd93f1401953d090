import { beforeEach, describe, expect, test } from "vitest";

import { hasDockerCli } from "../src/testing/daemon.ts";
import type { Output, RunOptions } from "../src/testing/run.ts";
import { useDaemon } from "./harness.ts";

/** A container's life through both command lines: what is typed, what is seen, how it ends. */

const daemon = useDaemon();

describe.each(["docker", "tsubo"] as const)("%s", (name) => {
  beforeEach(({ skip }) => skip(name === "docker" && !hasDockerCli(), "there is no docker on PATH"));

  const cli = (...args: string[]): Promise<Output> => daemon()[name](...args);
  const ok = (...args: string[]): Promise<string> => (name === "docker" ? daemon().dockerOk(...args) : daemon().tsuboOk(...args));
  const withInput = (options: RunOptions, ...args: string[]): Promise<Output> => daemon().run([daemon().pathOf(name), ...args], options);

  test("run shows both streams apart and ends with the container's exit code", async () => {
    const ran = await cli("run", "--rm", "busybox", "sh", "-c", "echo out; echo err >&2; exit 7");
    expect(ran).toEqual({ code: 7, stdout: "out\n", stderr: "err\n" });
  });

  test.each([
    [127, ["nosuchcommand"], /executable file not found in \$PATH/],
    [126, ["/etc"], /permission denied/],
  ])("run of a command that cannot start ends with %d", async (code, command, message) => {
    const ran = await cli("run", "--rm", "busybox", ...command);
    expect(ran.code).toBe(code);
    expect(ran.stderr).toMatch(message);
  });

  test("run with a flag that does not exist ends with 125", async () => {
    expect((await cli("run", "--nosuchflag", "busybox")).code).toBe(125);
  });

  test("run -i passes standard input to its end", async () => {
    const input = "line\n".repeat(100_000);
    const ran = await withInput({ input }, "run", "-i", "--rm", "busybox", "wc", "-l");
    expect(ran).toEqual({ code: 0, stdout: "100000\n", stderr: "" });
  });

  test("run -it gives a real terminal of the right size", async () => {
    const inner = `${daemon().pathOf(name)} run -it --rm busybox sh -c 'tty; stty size'`;
    const ran = await daemon().run(["script", "-qec", `stty rows 33 cols 99; ${inner}`, "/dev/null"], { input: "" });
    // `script` types the end of its own input as a NUL, which the terminal echoes.
    expect(ran.stdout.replaceAll(/\r|\^@/g, "")).toContain("/dev/pts/0\n33 99\n");
  });

  test("goes from created to removed", async () => {
    const id = await ok("create", "--name", "c1", "busybox", "sleep", "1000");
    expect(id).toMatch(/^[0-9a-f]{64}$/);
    expect(await ok("ps", "-a", "--format", "{{.Names}} {{.State}}")).toBe("c1 created");
    expect(await ok("start", "c1")).toBe("c1");
    expect(await ok("ps", "--format", "{{.Names}} {{.Image}} {{.Command}} {{.State}}")).toBe('c1 busybox "sleep 1000" running');
    await ok("pause", "c1");
    expect(await ok("inspect", "-f", "{{.State.Status}} {{.State.Paused}}", "c1")).toBe("paused true");
    expect((await cli("exec", "c1", "true")).code).toBe(1);
    await ok("unpause", "c1");
    await ok("rename", "c1", "c2");
    expect(await ok("top", "c2", "-o", "pid,args")).toContain("sleep 1000");
    await ok("stop", "-t", "1", "c2");
    expect(await ok("inspect", "-f", "{{.State.Status}} {{.State.ExitCode}}", "c2")).toBe("exited 137");
    expect(await ok("ps", "-aq", "--no-trunc", "-f", "status=exited", "-f", "name=c2")).toBe(id);
    expect(await ok("rm", "c2")).toBe("c2");
    const again = await cli("rm", "c2");
    expect([again.code, again.stderr]).toEqual([1, expect.stringContaining("No such container: c2")]);
  });

  test("exec has its own streams, directory, environment, user and exit code", async () => {
    await ok("run", "-d", "--name", "box", "busybox", "sleep", "1000");
    const ran = await cli("exec", "-w", "/tmp", "-e", "X=1", "-u", "65534", "box", "sh", "-c", "pwd; echo $X; id -u; echo err >&2; exit 3");
    expect(ran).toEqual({ code: 3, stdout: "/tmp\n1\n65534\n", stderr: "err\n" });
    expect((await withInput({ input: "hi" }, "exec", "-i", "box", "cat")).stdout).toBe("hi");
    expect((await cli("exec", "box", "nosuchcommand")).code).toBe(127);
    await ok("exec", "-d", "box", "touch", "/made");
    await expect.poll(() => cli("exec", "box", "test", "-e", "/made"), { timeout: 5000 }).toMatchObject({ code: 0 });
  });

  test("logs keep what was written, in order, and follow to the end", async () => {
    await ok("run", "-d", "--name", "box", "busybox", "sh", "-c", "for i in 1 2 3; do echo out$i; echo err$i >&2; sleep 0.1; done");
    const followed = await cli("logs", "-f", "box");
    expect(followed).toEqual({ code: 0, stdout: "out1\nout2\nout3\n", stderr: "err1\nerr2\nerr3\n" });
    expect((await cli("logs", "--tail", "2", "box")).stdout).toBe("out3\n");
    expect((await cli("logs", "-t", "box")).stdout).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z out1\n/);
  });

  test("kill sends the signal asked for; wait tells the exit code", async () => {
    await ok("run", "-d", "--name", "box", "busybox", "sh", "-c", "trap 'exit 42' USR1; while :; do sleep 0.1; done");
    const waiting = cli("wait", "box");
    await expect.poll(async () => (await cli("kill", "-s", "USR1", "box")).code).toBe(0);
    expect((await waiting).stdout).toBe("42\n");
    const refused = await cli("kill", "box");
    expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining("is not running")]);
  });

  test("a running container is removed only by force", async () => {
    await ok("run", "-d", "--name", "box", "busybox", "sleep", "1000");
    const refused = await cli("rm", "box");
    expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining("container is running")]);
    expect(await ok("rm", "-f", "box")).toBe("box");
  });

  test("restart gives a new process and keeps the files", async () => {
    await ok("run", "-d", "--name", "box", "busybox", "sh", "-c", "echo x >> /count; exec sleep 1000");
    const before = await ok("inspect", "-f", "{{.State.Pid}}", "box");
    await ok("restart", "-t", "0", "box");
    expect(await ok("inspect", "-f", "{{.State.Pid}}", "box")).not.toBe(before);
    await expect.poll(async () => (await cli("exec", "box", "cat", "/count")).stdout).toBe("x\nx\n");
  });

  test("a published port answers on 127.0.0.1 and is free again afterwards", async () => {
    await ok("run", "-d", "--name", "box", "-p", "127.0.0.1:0:80", "busybox", "sh", "-c", "echo served > /index.html; exec httpd -f -h /");
    const address = await ok("port", "box", "80");
    const fetched = async (): Promise<string> => (await fetch(`http://${address}/index.html`)).text();
    await expect.poll(() => fetched().catch(() => "")).toBe("served\n");
    await ok("rm", "-f", "box");
    await expect(fetched()).rejects.toThrow("fetch failed");
  });

  test("attach joins a running container and its end", async () => {
    await ok("run", "-d", "-i", "--name", "box", "busybox", "sh", "-c", "read line; echo got $line; exit 5");
    const attached = await withInput({ input: "hello\n" }, "attach", "box");
    expect([attached.code, attached.stdout]).toEqual([5, "got hello\n"]);
  });
});

import { type ChildProcessByStdio, spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, statSync } from "node:fs";
import path from "node:path";
import type { Readable } from "node:stream";
import { describe, expect, test } from "vitest";

import { useDaemon } from "./harness.ts";

/** What containers write, as `docker logs` shows it: all of it, to whom it was asked for, whatever is killed, rotated or slow meanwhile. */

const daemon = useDaemon();
const docker = (...args: string[]): Promise<string> => daemon().dockerOk(...args);
const TIMESTAMP = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z /;
const SMALL_FILES = ["--log-opt", "max-size=20k", "--log-opt", "max-file=1000"];

/** Runs a command to its end as `box`; it begins only when `run` is over. */
async function runGated(command: string, ...options: string[]): Promise<void> {
  await startGated(command, ...options);
  await open();
  expect(await docker("wait", "box")).toBe("0");
}

async function startGated(command: string, ...options: string[]): Promise<void> {
  const script = `while [ ! -e /go ]; do sleep 0.02; done; ${command}`;
  await docker("run", "-d", "--name", "box", ...options, "busybox", "sh", "-c", script);
}

/** A box that is quick ends before the one who opens it, and takes it along. */
async function open(): Promise<void> {
  const { code, stderr } = await daemon().docker("exec", "box", "touch", "/go");
  if (code !== 0 && code !== KILLED) throw new Error(`opening the box: ${stderr}`);
}

const KILLED = 137;

/** Runs a script to its end as `box`. */
async function ran(script: string, ...options: string[]): Promise<void> {
  await docker("run", "-d", "--name", "box", ...options, "busybox", "sh", "-c", script);
  expect(await docker("wait", "box")).toBe("0");
}

async function logs(...options: string[]): Promise<string> {
  return (await daemon().docker("logs", ...options, "box")).stdout;
}

/** Each number from `first` to `last`, once and in order. */
function expectNumbers(text: string, first: number, last: number): void {
  const lines = text.trimEnd().split("\n");
  const wrong = lines.findIndex((line, index) => Number(line) !== first + index);
  expect(wrong < 0 ? [] : lines.slice(Math.max(0, wrong - 1), wrong + 2), "the lines around the first that is wrong").toEqual([]);
  expect(lines).toHaveLength(last - first + 1);
}

async function logFiles(): Promise<{ name: string; sizeBytes: number }[]> {
  const folder = path.dirname(await docker("inspect", "-f", "{{.LogPath}}", "box"));
  const names = readdirSync(folder).filter((name) => name.includes("-json.log"));
  // One that was listed may have been given its next name since.
  return names.map((name) => ({ name, sizeBytes: statSync(path.join(folder, name), { throwIfNoEntry: false })?.size ?? 0 }));
}

/** `docker logs -f` whose output nobody reads yet. */
function follow(): ChildProcessByStdio<null, Readable, null> {
  const env = { ...process.env, DOCKER_HOST: `unix://${daemon().socketPath}` };
  return spawn(daemon().pathOf("docker"), ["logs", "-f", "box"], { stdio: ["ignore", "pipe", "ignore"], env });
}

async function logBytes(): Promise<number> {
  return (await logFiles()).reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
}

describe("docker logs", () => {
  test("has stdout and stderr apart, each where it belongs", async () => {
    await ran("echo out; echo err >&2; echo more; printf 'no newline'");
    expect(await daemon().docker("logs", "box")).toEqual({ code: 0, stdout: "out\nmore\nno newline", stderr: "err\n" });
  });

  test("tail, since, until and timestamps", async () => {
    await ran("for i in 1 2 3 4 5; do echo $i; sleep 0.05; done");
    expect(await logs("--tail", "2")).toBe("4\n5\n");
    expect(await logs("--tail", "0")).toBe("");
    expect(await logs("-n", "all")).toBe("1\n2\n3\n4\n5\n");
    const lines = (await logs("-t")).trimEnd().split("\n");
    for (const line of lines) expect(line).toMatch(TIMESTAMP);
    const timeOf = (number: number): string => lines[number - 1]?.split(" ", 1)[0] ?? "";
    expect(await logs("--since", timeOf(3))).toBe("3\n4\n5\n");
    expect(await logs("--until", timeOf(2))).toBe("1\n2\n");
    expect(await logs("--since", timeOf(2), "--until", timeOf(4), "--tail", "3")).toBe("3\n4\n");
    expect(await logs("--since", "1h")).toBe("1\n2\n3\n4\n5\n");
    expect(await logs("--until", "1h")).toBe("");
  });

  test("of a terminal: its bytes as they are", async () => {
    await ran("tty; echo text >&2", "-t");
    expect(await daemon().docker("logs", "box")).toEqual({ code: 0, stdout: "/dev/pts/0\r\ntext\r\n", stderr: "" });
    expect((await logs("-t", "--tail", "1")).replace(TIMESTAMP, "")).toBe("text\r\n");
  });

  test("a line of any length is one line", async () => {
    await ran("for n in 16383 16384 16385 100000; do head -c $n /dev/zero | tr '\\0' x; echo; done; echo end");
    const lines = [16_383, 16_384, 16_385, 100_000].map((length) => `${"x".repeat(length)}\n`);
    expect(await logs()).toBe(`${lines.join("")}end\n`);
    expect(await logs("--tail", "2")).toBe(`${lines[3]}end\n`);
    const stamped = (await logs("-t")).trimEnd().split("\n");
    expect(stamped.map((line) => line.replace(TIMESTAMP, ""))).toEqual([...lines.map((line) => line.trimEnd()), "end"]);
  });

  test("bytes that are no UTF-8 become U+FFFD, one each; all others come out as they went in", async () => {
    const bytes = String.raw`a\377\300b\n\000\001\033[1m \342\202\n\342\202\254 \360\237\230\200 \342\200\250<&>"\\\n`;
    await ran(`printf '${bytes}'`);
    expect(await logs()).toBe('a\ufffd\ufffdb\n\u0000\u0001\u001b[1m \ufffd\ufffd\n€ 😀 \u2028<&>"\\\n');
  });

  test("follows until the container ends, from where it was asked to", async () => {
    await docker(
      "run",
      "-d",
      "--name",
      "box",
      "busybox",
      "sh",
      "-c",
      "echo 1; echo 2; while [ ! -e /go ]; do sleep 0.02; done; echo 3 >&2; echo 4",
    );
    await expect.poll(() => logs()).toBe("1\n2\n");
    const following = daemon().docker("logs", "-f", "--tail", "1", "box");
    await open();
    expect(await following).toEqual({ code: 0, stdout: "2\n4\n", stderr: "3\n" });
  });

  test("goes on over a restart of the container", async () => {
    await ran("echo again");
    await docker("start", "-a", "box");
    expect(await logs()).toBe("again\nagain\n");
  });

  test("of a container that is gone, or keeps no log", async () => {
    await ran("echo lost", "--log-driver", "none");
    expect(await daemon().docker("logs", "box")).toMatchObject({
      code: 1,
      stderr: "Error response from daemon: configured logging driver does not support reading\n",
    });
    await docker("rm", "box");
    expect(await daemon().docker("logs", "box")).toMatchObject({ code: 1, stderr: "Error response from daemon: No such container: box\n" });
  });
});

test.each([
  [["--log-opt", "colour=red"], "unknown log opt 'colour' for json-file log driver"],
  [["--log-opt", "max-size=10q"], "invalid size: '10q'"],
  [
    ["--log-opt", "max-size=1m", "--log-opt", "compress=true"],
    "compress cannot be true when max-file is less than 2 or max-size is not set",
  ],
  [["--log-opt", "mode=lazy"], "logger: logging mode not supported: lazy"],
  [["--log-driver", "carrier-pigeon"], "logger: no log driver named 'carrier-pigeon' is registered"],
])("%j is refused", async (options, message) => {
  const refused = await daemon().docker("run", "--name", "box", ...options, "busybox", "true");
  expect(refused).toMatchObject({ code: 125, stderr: expect.stringContaining(`Error response from daemon: ${message}`) });
});

describe("rotation", () => {
  test("is not seen by who reads, from whichever line on", async () => {
    await ran("seq 3000", ...SMALL_FILES);
    expect((await logFiles()).length).toBeGreaterThan(5);
    expectNumbers(await logs(), 1, 3000);
    for (const tail of [1, 250, 1234, 2999]) expectNumbers(await logs("--tail", String(tail)), 3001 - tail, 3000);
  });

  test("is not seen by who follows, to the container's end", async () => {
    await docker(
      "run",
      "-d",
      "--name",
      "box",
      ...SMALL_FILES,
      "busybox",
      "sh",
      "-c",
      "for i in $(seq 60); do seq $((i*50-49)) $((i*50)); usleep 5000; done",
    );
    expectNumbers((await daemon().docker("logs", "-f", "box")).stdout, 1, 3000);
  });

  test("keeps to Docker's rules where its options are given", async () => {
    await ran("seq 3000", "--log-opt", "max-size=20k", "--log-opt", "max-file=3");
    const files = await logFiles();
    expect(files.map(({ name }) => name.replace(/^[0-9a-f]+-/, "")).toSorted()).toEqual(["json.log", "json.log.1", "json.log.2"]);
    for (const { sizeBytes } of files) expect(sizeBytes).toBeLessThan(20_100);
    const kept = await logs();
    expectNumbers(kept, 3001 - kept.trimEnd().split("\n").length, 3000);
    expect(await docker("inspect", "-f", "{{json .HostConfig.LogConfig}}", "box")).toBe(
      '{"Type":"json-file","Config":{"max-file":"3","max-size":"20k"}}',
    );
  });

  test("by default keeps all of 650,000 lines, in 30 MB", async () => {
    const text = "the quick brown fox jumps over the lazy dog, and again, and again and again";
    await ran(`yes '${text}' | head -n 650000`);
    expect(await docker("inspect", "-f", "{{json .HostConfig.LogConfig}}", "box")).toBe('{"Type":"json-file","Config":{}}');
    expect((await logs()).length).toBe(650_000 * (text.length + 1));
    await expect.poll(logBytes, { timeout: 20_000 }).toBeLessThan(30_000_000);
    expect((await logs()).length).toBe(650_000 * (text.length + 1));
  });

  describe.each(["log.rotate.shifted", "log.rotate.renamed", "log.compress.written", "log.compress.renamed"])("%s", (name) => {
    test("an error there costs no line", async () => {
      await withFailpoint(`${name}=error@1`, async () => {
        await runGated("seq 800", ...SMALL_FILES, "--log-opt", "compress=true");
        expectNumbers(await logs(), 1, 800);
      });
    });

    test("a death there loses and doubles no line", async () => {
      // The second time: keepers that died at their first step would never come past it.
      await withFailpoint(`${name}=crash@2`, async () => {
        const keeper = daemon().keeperPid();
        await runGated("seq 800", ...SMALL_FILES, "--log-opt", "compress=true");
        await expect.poll(() => daemon().keeperPid(), { timeout: 10_000 }).not.toBe(keeper);
        expectNumbers(await logs(), 1, 800);
      });
    });
  });
});

/** Both processes anew, for the keeper has its failpoints from the daemon that starts it; and again, without, afterwards. */
async function withFailpoint(failpoints: string, work: () => Promise<void>): Promise<void> {
  const restart = async (options: { failpoints?: string }): Promise<void> => {
    await daemon().kill();
    if (daemon().keeperPid() !== undefined) await daemon().killKeeper();
    await daemon().start(options);
  };
  await restart({ failpoints });
  try {
    await work();
  } finally {
    await docker("rm", "-f", "box");
    await restart({});
  }
}

describe("a flood", () => {
  test("of 200 MB is not held up by a `docker logs -f` that nobody reads", async () => {
    await startGated("yes 0123456789012345678901234567890123456789 | head -c 200000000");
    const reader = follow();
    const ended = once(reader, "exit");
    await open();
    expect(await docker("wait", "box")).toBe("0");
    expect(reader.exitCode).toBeNull();
    reader.kill("SIGKILL");
    await ended;
  });

  test("is had in whole by a `docker logs -f` that is read only when it is over", async () => {
    await startGated("seq 1200000");
    const reader = follow();
    // It has begun when it has the first line.
    await docker("exec", "box", "sh", "-c", "echo 0 > /proc/1/fd/1");
    await once(reader.stdout, "readable");
    await open();
    expect(await docker("wait", "box")).toBe("0");
    const pieces: Buffer[] = [];
    for await (const piece of reader.stdout) pieces.push(piece as Buffer); // A stream without an encoding gives Buffers.
    expectNumbers(Buffer.concat(pieces).toString(), 0, 1_200_000);
  });

  test("loses and doubles no line when the keeper is killed in it, between two files and in one, again and again", async () => {
    const isRunning = async (): Promise<boolean> => (await docker("inspect", "-f", "{{.State.Running}}", "box")) === "true";
    await startGated("seq 1000000", "--log-opt", "max-size=1m", "--log-opt", "max-file=200", "--log-opt", "compress=true");
    await open();
    for (let kills = 0; kills < 5 && (await isRunning()); kills += 1) {
      const keeper = daemon().keeperPid();
      await daemon().killKeeper();
      await expect.poll(() => daemon().keeperPid() ?? keeper, { timeout: 10_000 }).not.toBe(keeper);
      const before = await logBytes();
      const goesOn = async (): Promise<boolean> => (await logBytes()) !== before || !(await isRunning());
      await expect.poll(goesOn, { timeout: 10_000 }).toBe(true);
    }
    expect(await docker("wait", "box")).toBe("0");
    expectNumbers(await logs(), 1, 1_000_000);
  });

  test("loses no line when the daemon is killed in it", async () => {
    await startGated("seq 1000000");
    await open();
    for (let kills = 0; kills < 2; kills += 1) {
      await daemon().kill();
      await daemon().start();
    }
    expect(await docker("wait", "box")).toBe("0");
    expectNumbers(await logs(), 1, 1_000_000);
  });
});

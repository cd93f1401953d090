import { mkdirSync, mkdtempSync, rmdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import path from "node:path";

import { beforeEach, describe, expect, test } from "vitest";

import { paths } from "../src/store/roots.ts";
import { hasDockerCli } from "../src/testing/daemon.ts";
import { expectSame, expectSameStory } from "./cli/compare.ts";
import { notOurs, partsOf, places } from "./cli/help.ts";
import { containerStory, copyStory, imageStory, libraryStory, mistakes, networkStory, reads, stage, volumeStory } from "./cli/lines.ts";
import { options } from "./cli/options.ts";
import { converse, converseInTerminal, type Conversation } from "./cli/process.ts";
import { useDaemon } from "./harness.ts";

/** `tsubo` is `docker` to who types: the same calls by both, on one daemon, show the same and end the same. */

const daemon = useDaemon();
const programs = ["docker", "tsubo"] as const;

beforeEach(({ skip }) => skip(!hasDockerCli(), "there is no docker on PATH to compare with"));

test("what only looks prints the same", { timeout: 240_000 }, async () => {
  for (const call of stage) await daemon().dockerOk(...call.split(" "));
  expect((await daemon().docker("run", "--name", "ended", "busybox", "sh", "-c", "echo out; echo err >&2; exit 3")).code).toBe(3);
  await expectSame(daemon(), reads);
});

test("mistakes are answered in the same words, with the same exit code", { timeout: 240_000 }, async () => {
  await expectSame(daemon(), mistakes);
});

test("every command has docker's usage, flags and places", { timeout: 240_000 }, async () => {
  for (const place of places) {
    const [theirs, ours] = await Promise.all(
      programs.map((program) => daemon().run([daemon().pathOf(program), ...place.split(" "), "--help"])),
    );
    if (theirs === undefined || ours === undefined) throw new Error("no help");
    const missing = partsOf(theirs.stdout).filter((part) => !partsOf(ours.stdout).includes(part) && !notOurs.has(part));
    expect([place, missing]).toEqual([place, []]);
  }
});

test("options of create ask the same of the engine", { timeout: 240_000 }, async () => {
  const folder = mkdtempSync("/tmp/tsubo-options-");
  try {
    writeFileSync(path.join(folder, "env"), "# a comment\nX=1\nHOME\n  Y=2 \n\nNOSUCH\n");
    writeFileSync(path.join(folder, "labels"), "l1=v1\nl2\n");
    writeFileSync(path.join(folder, "seccomp.json"), '{ "defaultAction": "SCMP_ACT_ALLOW" }\n');
    for (const line of options) {
      const made: unknown[] = [];
      for (const program of programs) made.push(await madeBy(program, line.replaceAll("$DIR", folder)));
      expect([line, made[1]]).toEqual([line, made[0]]);
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
});

/** What the engine has of a container with these options, or why there is none. */
async function madeBy(program: (typeof programs)[number], line: string): Promise<unknown> {
  const command = ["sh", "-c", `${daemon().pathOf(program)} create --name made ${line} busybox a b`];
  const created = await daemon().run(command, { input: "" });
  if (created.code !== 0) return created;
  const inspected = await daemon().api("GET", "/containers/made/json");
  await daemon().dockerOk("rm", "-fv", "made");
  // The shape is the Engine API's.
  const { Config, HostConfig, Mounts } = inspected.json() as {
    Config: { Env: string[] };
    HostConfig: object;
    Mounts: { Destination: string }[];
  };
  const own = JSON.stringify({ Config, HostConfig, Mounts: Mounts.toSorted((a, b) => (a.Destination < b.Destination ? -1 : 1)) });
  // Go's client gives both in any order.
  const anyOrder = (key: string, value: unknown): unknown =>
    ["Env", "Binds"].includes(key) && Array.isArray(value) ? value.map(String).sort() : value;
  return [created.stderr, JSON.parse(own.replaceAll(/\b([0-9a-f]{64}|[0-9a-f]{12})\b/g, "<id>"), anyOrder)];
}

test("the life of a container reads the same", { timeout: 240_000 }, () => expectSameStory(daemon(), containerStory));

test("the life of an image reads the same", () => expectSameStory(daemon(), imageStory));

test("a container becomes an image, and images go through archives, alike", { timeout: 240_000 }, () =>
  expectSameStory(daemon(), libraryStory),
);

test("networks and volumes come and go alike", { timeout: 240_000 }, async () => {
  await expectSameStory(daemon(), networkStory);
  await expectSameStory(daemon(), volumeStory);
});

test("files are copied alike", { timeout: 240_000 }, async () => {
  const folders = ["/tmp/tsubo-story-d", "/tmp/tsubo-story-t"];
  try {
    for (const folder of folders) {
      mkdirSync(path.join(folder, "have"), { recursive: true });
      mkdirSync(path.join(folder, "clash", "f"), { recursive: true });
      mkdirSync(path.join(folder, "clash", "d"));
      writeFileSync(path.join(folder, "clash", "d", "sub"), "a file");
      symlinkSync("target", path.join(folder, "to"));
    }
    await expectSameStory(daemon(), copyStory);
  } finally {
    for (const folder of folders) rmSync(folder, { recursive: true, force: true });
  }
});

describe("in a terminal", () => {
  /** Has the same conversation with both programs and compares what was on the screen, and the exit code. */
  async function expectSameScreen(command: string, talk: (terminal: Conversation) => Promise<void>): Promise<string> {
    const screens: { screen: string; code: unknown }[] = [];
    for (const program of programs) {
      const terminal = converseInTerminal(`${daemon().pathOf(program)} ${command}`, { DOCKER_HOST: `unix://${daemon().socketPath}` });
      await talk(terminal);
      const code = await terminal.ended();
      screens.push({ screen: terminal.said.replaceAll(/\r|tick\r\n/g, ""), code });
    }
    expect(screens[1]).toEqual(screens[0]);
    return screens[1]?.screen ?? "";
  }

  test("a container has a terminal of our size, our keys and our exit code", async () => {
    const screen = await expectSameScreen("run -it --rm busybox sh -c 'stty size; read line; echo got $line; exit 7'", async (terminal) => {
      await terminal.until("33 99");
      terminal.send("hello\n");
    });
    expect(screen).toBe("33 99\nhello\ngot hello\n");
  });

  test("ctrl-p ctrl-q leaves it running; attach comes back and leaves with other keys", async () => {
    const ticking = ["sh", "-c", "while :; do echo tick; sleep 0.1; done"];
    const leave = (keys: string) => async (terminal: Conversation) => {
      await terminal.until("tick");
      terminal.send("typed\n");
      await terminal.until("typed");
      terminal.send(keys);
    };
    await daemon().dockerOk("create", "-it", "--name", "box", "busybox", ...ticking);
    await expectSameScreen("start -ai box", leave("\x10\x11"));
    await expectSameScreen("attach box", leave("\x10\x11"));
    await expectSameScreen("attach --detach-keys=ctrl-x,y box", leave("\x18y"));
    await expectSameScreen(`exec -it --detach-keys=z box sh -c '${ticking[2]}'`, leave("z"));
    expect(await daemon().dockerOk("inspect", "-f", "{{.State.Running}}", "box")).toBe("true");
  });

  test("an exec ends with its command's exit code, and ctrl-c is the command's", async () => {
    await daemon().dockerOk("run", "-d", "--name", "box", "busybox", "sleep", "1000");
    await expectSameScreen(
      "exec -it box sh -c 'trap \"echo caught; exit 5\" INT; echo ready; while :; do sleep 0.1; done'",
      async (terminal) => {
        await terminal.until("ready");
        terminal.send("\x03");
      },
    );
  });

  test("a container's terminal follows the size of ours", async () => {
    const waiting = 'echo ready; until [ "$(stty size)" = "40 120" ]; do sleep 0.1; done; echo followed';
    const terminal = converseInTerminal(`sh -c 'tty; exec ${daemon().pathOf("tsubo")} run -it --rm busybox sh -c "$0"' '${waiting}'`, {
      DOCKER_HOST: `unix://${daemon().socketPath}`,
    });
    await terminal.until("ready");
    const device = /\/dev\/pts\/\d+/.exec(terminal.said)?.[0] ?? "";
    expect((await daemon().run(["stty", "-F", device, "rows", "40", "cols", "120"])).code).toBe(0);
    await terminal.until("followed");
    expect(await terminal.ended()).toBe(0);
  });

  test("a terminal is as it was afterwards", async () => {
    const terminal = converseInTerminal(
      `sh -c 'before=$(stty -g); ${daemon().pathOf("tsubo")} run -it --rm busybox true; test "$before" = "$(stty -g)" && echo restored'`,
      { DOCKER_HOST: `unix://${daemon().socketPath}` },
    );
    await terminal.ended();
    expect(terminal.said).toBe("restored\r\n");
  });
});

describe("signals", () => {
  const start = (program: (typeof programs)[number], ...args: string[]): Conversation =>
    converse([daemon().pathOf(program), ...args], { DOCKER_HOST: `unix://${daemon().socketPath}` });

  test.each(["SIGTERM", "SIGINT", "SIGUSR1"] as const)("%s reaches a container that we run", async (signal) => {
    for (const program of programs) {
      const trap = `trap "echo caught; exit 42" ${signal.slice(3)}; echo ready; while :; do sleep 0.1; done`;
      const running = start(program, "run", "--rm", "busybox", "sh", "-c", trap);
      await running.until("ready");
      running.signal(signal);
      expect([program, await running.ended(), running.said]).toEqual([program, 42, "ready\ncaught\n"]);
    }
  });

  test("ctrl-c ends what only watches", async () => {
    await daemon().dockerOk("run", "-d", "--name", "box", "busybox", "sh", "-c", "echo ready; sleep 1000");
    for (const [args, sign] of [
      [["logs", "-f", "box"], "ready"],
      [["events", "--since", "10m"], "create"],
    ] as const) {
      const watching = start("tsubo", ...args);
      await watching.until(sign);
      watching.signal("SIGINT");
      expect([args[0], await watching.ended()]).toEqual([args[0], "SIGINT"]);
    }
  });
});

test("a reader that goes away is no error", async () => {
  const ran = await daemon().run(
    ["bash", "-c", `yes | head -c 3000000 | $CLI run -i --rm busybox cat | head -1; echo "\${PIPESTATUS[2]}"`],
    {
      env: { CLI: daemon().pathOf("tsubo") },
    },
  );
  expect(ran).toEqual({ code: 0, stdout: "y\n141\n", stderr: "" });
});

test("nobody at the socket: says what was tried and the way out", async () => {
  const ran = await daemon().tsubo("-H", "unix:///nosuch.sock", "ps");
  expect(ran.code).toBe(1);
  expect(ran.stderr).toMatch(/^Cannot connect to the Tsubo daemon at unix:\/\/\/nosuch\.sock\. Is tsubod running\?\n.*`npm start`.*-H/);
});

test("doctor lists what it looked at, names what it finds and the way out, and ends with 1 then", async () => {
  const pleased = await daemon().tsubo("doctor");
  expect(pleased).toMatchObject({ code: 0, stderr: "" });
  expect(pleased.stdout).toMatch(/^containers +0\n[\s\S]*\nNothing is left over and nothing is missing\.\n$/);
  const stray = path.join(paths.layers(daemon().roots), "stray");
  mkdirSync(stray);
  try {
    const worried = await daemon().tsubo("doctor", "-q");
    expect(worried.code).toBe(1);
    expect(worried.stdout).toBe(`file ${stray}: no layer has it\n  way out: restart the daemon: start-up removes it\n1 problem found.\n`);
  } finally {
    rmdirSync(stray);
  }
});

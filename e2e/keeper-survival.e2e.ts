import { spawnSync } from "node:child_process";
import { closeSync, existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { lockFile } from "../src/kernel/file-lock.ts";
import { paths } from "../src/store/roots.ts";
import { openPlace, until, type Place } from "./keeper/place.ts";
import { readUntil } from "./keeper/streams.ts";

/** Whoever is killed, daemon or keeper: containers go on, and no line of output and no exit status is lost. */
const ALL = { stdin: true, stdout: true, stderr: true };

let place: Place;
beforeEach(async () => {
  place = await openPlace();
});
afterEach(async () => await place.close());

async function killKeeper(): Promise<number> {
  const [pid = 0] = place.keeperPids();
  process.kill(pid, "SIGKILL");
  await until(() => !existsSync(`/proc/${pid}`) || readFileSync(`/proc/${pid}/stat`, "utf8").includes(") Z "), "the keeper's death");
  return pid;
}

const numbersIn = (id: string): number[] =>
  place
    .logOf(id)
    .filter(({ log }) => /^\d+\n$/.test(log))
    .map(({ log }) => Number(log));

/** Each number from 1 to `last`, once and in order. */
function expectWhole(numbers: number[], last: number): void {
  expect(numbers.findIndex((number, index) => number !== index + 1)).toBe(-1);
  expect(numbers).toHaveLength(last);
}

test.each([
  ["line by line", "i=0; while [ $i -lt 60000 ]; do i=$((i+1)); echo $i; done; exit 3", 60_000],
  ["as fast as it can", "seq 1 1000000; exit 3", 1_000_000],
])("the keeper is killed again and again while a container writes %s: no line is lost or doubled", async (_how, script, last) => {
  const id = "writer";
  await place.keeper.startContainer(place.container(id, ["sh", "-c", script]));
  let kills = 0;
  while (place.events.every((event) => event.type !== "exit") && kills < 4) {
    await new Promise((resolve) => setTimeout(resolve, 30 + 17 * kills));
    const pid = await killKeeper();
    kills += 1;
    await until(() => place.keeperPids().some((other) => other !== pid), "the next keeper");
    await place.keeper.list();
  }
  expect(await place.exitOf({ containerId: id })).toMatchObject({ exitCode: 3 });
  expect(kills).toBeGreaterThan(0);
  expectWhole(numbersIn(id), last);
});

test("a container ends while there is no keeper: its last lines and its status are had all the same", async () => {
  const [id, last] = ["gap", 3000];
  const script = `i=0; while [ $i -lt ${last} ]; do i=$((i+1)); echo $i; done; exit 42`;
  const spec = place.container(id, ["sh", "-c", `read go; ${script}`], { openStdin: true });
  const client = await place.keeper.attach({ containerId: id }, ALL);
  const { pid } = await place.keeper.startContainer(spec);
  const [keeperPid = 0] = place.keeperPids();
  // Stopped: it can neither read nor reap.
  process.kill(keeperPid, "SIGSTOP");
  client.write("go\n");
  process.kill(keeperPid, "SIGCONT");
  await new Promise((resolve) => setTimeout(resolve, 2));
  process.kill(keeperPid, "SIGKILL");
  await until(() => !existsSync(`/proc/${pid}`) || readFileSync(`/proc/${pid}/stat`, "utf8").includes(") Z "), "the container's end");
  expect(await place.exitOf({ containerId: id })).toMatchObject({ exitCode: 42 });
  expectWhole(numbersIn(id), last);
  client.destroy();
});

test("an exec goes on without its keeper and its status is known", async () => {
  const id = "execs";
  const spec = place.container(id, ["sleep", "60"]);
  await place.keeper.startContainer(spec);
  const process = { terminal: false, user: { uid: 0, gid: 0 }, env: ["PATH=/bin"], cwd: "/" };
  const exec = { containerId: id, runtime: spec.runtime, tty: false, openStdin: false, memo: "" };
  await place.keeper.startExec({ ...exec, execId: "later", process: { ...process, args: ["sh", "-c", "sleep 1.5; exit 5"] } });
  await place.keeper.startExec({ ...exec, execId: "soon", process: { ...process, args: ["sh", "-c", "sleep 0.1; exit 6"] } });
  await killKeeper();
  expect(await place.exitOf({ containerId: id, execId: "soon" })).toMatchObject({ exitCode: 6 });
  expect(await place.exitOf({ containerId: id, execId: "later" })).toMatchObject({ exitCode: 5 });
  const [kept] = await place.keeper.list();
  expect(kept?.execs.map(({ id: execId, exit }) => [execId, exit?.exitCode]).toSorted()).toEqual([
    ["later", 5],
    ["soon", 6],
  ]);
});

test("a terminal does not hang up when the keeper dies", async () => {
  const id = "terminal";
  const first = await place.keeper.attach({ containerId: id }, ALL);
  await place.keeper.startContainer(place.container(id, ["sh"], { tty: true, openStdin: true }));
  first.write("x=12\n");
  await readUntil(first, "x=12");
  await killKeeper();
  await place.keeper.list();
  const second = await place.keeper.attach({ containerId: id }, ALL);
  second.write("echo $((x*2))\n");
  await readUntil(second, "24");
  second.write("exit 9\n");
  expect(await place.exitOf({ containerId: id })).toMatchObject({ exitCode: 9 });
  second.destroy();
});

test("a daemon that comes back finds what runs and is told what ended meanwhile", async () => {
  const run = (id: string, seconds: string) => place.keeper.startContainer(place.container(id, ["sh", "-c", `sleep ${seconds}; exit 4`]));
  const long = await run("long", "60");
  await run("short", "0.2");
  await place.keeper[Symbol.asyncDispose]();
  place.events.length = 0;
  await until(() => existsSync(paths.containerExit(place.roots, "short")), "the exit to be on the disk");
  await place.reconnect();
  expect(await place.exitOf({ containerId: "short" })).toMatchObject({ exitCode: 4 });
  const kept = await place.keeper.list();
  expect(kept.find(({ id }) => id === "long")).toMatchObject({ pid: long.pid, startedAtNs: long.startedAtNs, exit: undefined });
  const onDisk: unknown = JSON.parse(readFileSync(paths.containerExit(place.roots, "short"), "utf8"));
  expect(onDisk).toMatchObject({ id: "short", exitCode: 4, oomKilled: false });
});

test("daemon and keeper both die: what runs is found again, what ended has status 255 and says why", async () => {
  const script = "trap 'echo still; exit 8' TERM; echo ready; while :; do sleep 0.05; done";
  await place.keeper.startContainer(place.container("both-on", ["sh", "-c", script]));
  await until(() => place.logOf("both-on").length > 0, "the container to be ready");
  const lost = await place.keeper.startContainer(place.container("both-off", ["sh", "-c", "sleep 0.2; exit 8"]));
  await killKeeper();
  await place.keeper[Symbol.asyncDispose]();
  // The connection may have begun another one before it was closed.
  for (const pid of place.keeperPids()) process.kill(pid, "SIGKILL");
  await until(() => !existsSync(`/proc/${lost.pid}`), "somebody to reap the container that ended");
  place.events.length = 0;
  await place.reconnect();
  const exit = await place.exitOf({ containerId: "both-off" });
  expect(exit).toMatchObject({ exitCode: 255, error: expect.stringContaining("unknown") });
  await place.keeper.signal({ containerId: "both-on" }, 15);
  expect(await place.exitOf({ containerId: "both-on" })).toMatchObject({ exitCode: 8 });
  expect(place.logOf("both-on").map((record) => record.log)).toEqual(["ready\n", "still\n"]);
});

test.each(["keeper.start.recorded", "keeper.start.created"])("a keeper that crashes at %s leaves nothing of the start", async (step) => {
  await armNextKeeper(step);
  const start = place.keeper.startContainer(place.container("crash", ["sh", "-c", "echo hi; exit 2"]));
  await expect(start).rejects.toThrow("the keeper died");
  expect(await place.keeper.list()).toEqual([]);
});

test.each(["keeper.exit.seen", "keeper.exit.recorded"])("a keeper that crashes at %s loses neither output nor status", async (step) => {
  await armNextKeeper(step);
  // The status of one that ends before the start is answered, while its keeper crashes, is unknown: the daemon has no pidfd of it yet.
  const script = "trap 'exit 2' TERM; echo hi; while :; do sleep 0.05; done";
  await place.keeper.startContainer(place.container("crash", ["sh", "-c", script]));
  await until(() => place.logOf("crash").length > 0, "the container to be ready");
  await place.keeper.signal({ containerId: "crash" }, 15);
  expect(await place.exitOf({ containerId: "crash" })).toMatchObject({ exitCode: 2 });
  expect(place.logOf("crash").map((record) => record.log)).toEqual(["hi\n"]);
});

/** Replaces the keeper by one that crashes at a step; the one after it is an ordinary one. */
async function armNextKeeper(step: string): Promise<void> {
  await place.keeper.shutdown();
  await place.keeper[Symbol.asyncDispose]();
  await until(() => place.keeperPids().length === 0, "the keeper's end");
  process.env["TSUBO_FAILPOINTS"] = `${step}=crash`;
  try {
    await place.reconnect();
  } finally {
    delete process.env["TSUBO_FAILPOINTS"];
  }
}

test("a keeper that was killed and is not gone yet is waited for", async () => {
  await place.keeper.shutdown();
  await place.keeper[Symbol.asyncDispose]();
  await until(() => place.keeperPids().length === 0, "the keeper's end");
  // As one whose disk does not answer: it has the lock, and accepts nobody.
  const lock = lockFile(paths.keeperLock(place.roots));
  const reconnected = place.reconnect();
  const refused = (): number => readFileSync(path.join(place.roots.exec, "keeper.log"), "utf8").split("another keeper serves").length - 1;
  await until(() => refused() >= 5, "several keepers to find the lock taken");
  closeSync(lock ?? -1);
  await reconnected;
  expect(await place.run("after", ["true"])).toMatchObject({ exitCode: 0 });
});

test("a second keeper does not come up beside the first", async () => {
  const [program = "", ...args] = place.command;
  const second = spawnSync(program, args, { encoding: "utf8", timeout: 20_000 });
  expect(second.status).toBe(0);
  expect(second.stderr).toContain("another keeper serves this exec root");
  expect(place.keeperPids()).toHaveLength(1);
});

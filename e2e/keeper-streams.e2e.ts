import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { paths } from "../src/store/roots.ts";
import { openPlace, until, type Place } from "./keeper/place.ts";
import { readAll, readFrames } from "./keeper/streams.ts";

/** Clients and logs: nobody who reads slowly, or not at all, or whose disk is full, holds a container up or costs another a byte. */
const OUTPUT = { stdin: false, stdout: true, stderr: true };

let place: Place;
beforeAll(async () => {
  place = await openPlace();
});
afterAll(async () => await place.close());

/** `count` lines of 64 bytes, numbered. */
const numbered = (count: number): string[] => ["awk", `BEGIN { for (i = 1; i <= ${count}; i++) printf "%063d\\n", i }`];
const sumOf = (text: string): number => text.split("\n").reduce((sum, line) => sum + Number(line), 0);

test("a client that does not read holds up neither the container nor other clients, and gets all of it later", async () => {
  const [id, count] = ["slow", 200_000];
  const slow = await place.keeper.attach({ containerId: id }, OUTPUT);
  slow.pause();
  const fast = await place.keeper.attach({ containerId: id }, OUTPUT);
  const received = readFrames(fast);
  await place.keeper.startContainer(place.container(id, numbered(count)));
  expect(await place.exitOf({ containerId: id })).toMatchObject({ exitCode: 0 });
  const expected = (count * (count + 1)) / 2;
  expect(sumOf((await received).stdout)).toBe(expected);
  expect(sumOf((await readFrames(slow)).stdout)).toBe(expected);
  await place.keeper.forgetContainer(id);
});

test("a client may go in the middle, another may come, and the log has it all", async () => {
  const [id, count] = ["leave", 100_000];
  const first = await place.keeper.attach({ containerId: id }, OUTPUT);
  await place.keeper.startContainer(place.container(id, numbered(count)));
  await new Promise((resolve) => first.once("data", resolve));
  first.destroy();
  const second = readFrames(await place.keeper.attach({ containerId: id }, OUTPUT));
  expect(await place.exitOf({ containerId: id })).toMatchObject({ exitCode: 0 });
  await second;
  const log = place.logOf(id).map((record) => record.log);
  expect(log).toHaveLength(count);
  expect(sumOf(log.join(""))).toBe((count * (count + 1)) / 2);
  await place.keeper.forgetContainer(id);
});

test("one line of 20 MB passes whole, in pieces of 16 KiB in the log", async () => {
  const [id, size] = ["longline", 20_000_000];
  const received = readFrames(await place.keeper.attach({ containerId: id }, OUTPUT));
  const exit = place.run(id, ["sh", "-c", `head -c ${size} /dev/zero | tr '\\0' x; echo`]);
  expect((await received).stdout).toBe(`${"x".repeat(size)}\n`);
  expect(await exit).toMatchObject({ exitCode: 0 });
  const log = place.logOf(id).map((record) => record.log);
  expect(log.join("")).toBe(`${"x".repeat(size)}\n`);
  expect(Math.max(...log.map((text) => text.length))).toBe(16_384);
});

test("bytes that are not text reach a client unchanged", async () => {
  const id = "binary";
  const received = readAllStdout(await place.keeper.attach({ containerId: id }, OUTPUT));
  await place.run(id, ["sh", "-c", "cat /bin/busybox"]);
  expect((await received).equals(readFileSync("/bin/busybox"))).toBe(true);
});

test("a prompt without a newline reaches a client at once, and the log as one line with what follows", async () => {
  const id = "prompt";
  const client = await place.keeper.attach({ containerId: id }, { stdin: true, stdout: true, stderr: true });
  const spec = place.container(id, ["sh", "-c", "printf 'name: '; read name; echo hello $name"], { openStdin: true, stdinOnce: true });
  await place.keeper.startContainer(spec);
  const prompt = await new Promise<Buffer>((resolve) => client.once("data", resolve));
  expect(prompt.toString("utf8", 8)).toBe("name: ");
  await new Promise((resolve) => setTimeout(resolve, 1500));
  client.end("you\n");
  await readAll(client);
  await place.exitOf({ containerId: id });
  await place.keeper.forgetContainer(id);
  expect(place.logOf(id).map((record) => record.log)).toEqual(["name: hello you\n"]);
});

test("stdin of any size reaches a container that takes its time", async () => {
  const id = "stdin";
  const client = await place.keeper.attach({ containerId: id }, { stdin: true, stdout: true, stderr: true });
  const received = readFrames(client);
  const bytes = Buffer.alloc(5_000_000, "0123456789");
  await place.keeper.startContainer(place.container(id, ["sh", "-c", "sleep 0.3; wc -c"], { openStdin: true, stdinOnce: true }));
  client.end(bytes);
  expect((await received).stdout.trim()).toBe("5000000");
  await place.exitOf({ containerId: id });
  await place.keeper.forgetContainer(id);
});

test("the log is rotated by size", async () => {
  const id = "rotate";
  const file = paths.containerLog(place.roots, id);
  const log = { driver: "json-file", path: file, maxSizeBytes: 200_000, maxFiles: 3, compress: false } as const;
  expect(await place.run(id, numbered(20_000), { log })).toMatchObject({ exitCode: 0 });
  const kept = [`${file}.2`, `${file}.1`, file].flatMap((name) => readFileSync(name, "utf8").trimEnd().split("\n"));
  const numbers = kept.map((line) => Number((JSON.parse(line) as { log: string }).log));
  expect(numbers.at(-1)).toBe(20_000);
  expect(numbers).toEqual(numbers.map((_, index) => 20_000 - numbers.length + 1 + index));
});

test("a full disk costs log lines but not the container, and the log says so when it goes on", async () => {
  const id = "full";
  const disk = path.join(place.base, "disk");
  mkdirSync(disk);
  expect(spawnSync("mount", ["-t", "tmpfs", "-o", "size=256k", "tmpfs", disk]).status).toBe(0);
  try {
    writeFileSync(path.join(disk, "filler"), Buffer.alloc(250 * 1024));
    const log = { driver: "json-file", path: path.join(disk, "log"), maxSizeBytes: undefined, maxFiles: 1, compress: false } as const;
    const spec = place.container(id, ["sh", "-c", `yes ${"0".repeat(99)} | head -n 2000; cat; echo after`], {
      log,
      openStdin: true,
      stdinOnce: true,
    });
    const client = await place.keeper.attach({ containerId: id }, { stdin: true, stdout: true, stderr: true });
    const received = readFrames(client);
    await place.keeper.startContainer(spec);
    // All of it has passed by the time the container reads.
    await until(
      () => readFileSync(path.join(place.roots.exec, "keeper.log"), "utf8").includes("not logged"),
      "the keeper to note the loss",
    );
    rmSync(path.join(disk, "filler"));
    await new Promise((resolve) => setTimeout(resolve, 300));
    client.end("resumed\n");
    expect((await received).stdout.split("\n")).toHaveLength(2003);
    expect(await place.exitOf({ containerId: id })).toMatchObject({ exitCode: 0 });
    await place.keeper.forgetContainer(id);
    const texts = readFileSync(path.join(disk, "log"), "utf8")
      .trimEnd()
      .split("\n")
      .map((line) => (JSON.parse(line) as { log: string }).log);
    expect(texts.some((text) => /^tsubo: \d+ bytes of output were lost here.*ENOSPC/.test(text))).toBe(true);
    expect(texts.slice(-2)).toEqual(["resumed\n", "after\n"]);
  } finally {
    spawnSync("umount", [disk]);
  }
});

test("what an exec leaves running in the background may write on and is not stopped", async () => {
  const id = "background";
  const spec = place.container(id, ["sleep", "60"]);
  await place.keeper.startContainer(spec);
  const process = { terminal: false, user: { uid: 0, gid: 0 }, env: ["PATH=/bin"], cwd: "/" };
  const args = ["sh", "-c", "(sleep 0.2; head -c 2000000 /dev/zero; echo done >/tmp/done; sleep 60) & echo hi"];
  const target = { containerId: id, execId: "bg" };
  const received = readFrames(await place.keeper.attach(target, OUTPUT));
  await place.keeper.startExec({ ...target, runtime: spec.runtime, tty: false, openStdin: false, memo: "", process: { ...process, args } });
  expect(await place.exitOf(target)).toMatchObject({ exitCode: 0 });
  expect((await received).stdout).toContain("hi\n");
  const [kept] = (await place.keeper.list()).filter((container) => container.id === id);
  const done = `/proc/${kept?.pid}/root/tmp/done`;
  await until(() => spawnSync("test", ["-s", done]).status === 0, "the background process to have written all");
  await place.keeper.signal({ containerId: id }, 9);
  await place.exitOf({ containerId: id });
  await place.keeper.forgetContainer(id);
});

async function readAllStdout(stream: Parameters<typeof readAll>[0]): Promise<Buffer> {
  const bytes = await readAll(stream);
  const pieces: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += 8 + bytes.readUInt32BE(at + 4))
    pieces.push(bytes.subarray(at + 8, at + 8 + bytes.readUInt32BE(at + 4)));
  return Buffer.concat(pieces);
}

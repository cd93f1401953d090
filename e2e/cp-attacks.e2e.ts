import { spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";

import { afterAll, beforeAll, describe, expect, test } from "vitest";

import { tar, type Entry } from "../src/testing/tar.ts";
import { put } from "./cp/archive.ts";
import { useDaemon } from "./harness.ts";

/** Containers that want out by way of a copy, archives that do, and copies that end in the middle. */

const daemon = useDaemon();
let folder = "";
const here = (name: string): string => path.join(folder, name);
const inside = (container: string, script: string): Promise<string> => daemon().dockerOk("exec", container, "sh", "-c", script);

beforeAll(() => {
  folder = mkdtempSync("/tmp/tsubo-cp-attacks-");
  mkdirSync(here("host"));
  writeFileSync(here("host/secret"), "of the host");
});
afterAll(() => rmSync(folder, { recursive: true }));

function expectUntouched(): void {
  expect(readdirSync(here("host"))).toEqual(["secret"]);
  expect(readFileSync(here("host/secret"), "utf8")).toBe("of the host");
}

test("a container that swaps a folder for a symlink all the time (CVE-2018-15664)", { timeout: 240_000 }, async () => {
  const host = here("host");
  // Of the container's own, at the very place that the symlink names: whatever is found there is the container's.
  const loop = `mkdir -p ${host} /x/real /x/dir && echo mine >${host}/secret && echo mine >/x/real/secret && cd /x && rmdir dir &&
    while :; do ln -s ${host} dir; rm dir; mv real dir; mv dir real; done`;
  await daemon().dockerOk("run", "-d", "--name", "racer", "busybox", "sh", "-c", loop);
  const archive = tar(
    { name: "planted", content: "evil" },
    { name: "planted-dir", type: "directory" },
    { name: "planted-dir/f", content: "x" },
  );
  const seen = new Set<string>();
  for (let round = 0; round < 300; round += 1) {
    // Cut off when the file goes between the look at it and the reading: an archive without it would be taken for a whole one.
    const found = await daemon()
      .api("GET", "/containers/racer/archive?path=/x/dir/secret")
      .catch(() => undefined);
    if (found?.status === 200) seen.add(/mine|of the host/.exec(found.text)?.[0] ?? "nothing");
    await daemon().api("GET", "/containers/racer/archive?path=/x");
    await put(daemon(), "racer", "/x/dir", archive, "");
  }
  expect([...seen]).toEqual(["mine"]);
  expectUntouched();
  await daemon().dockerOk("rm", "-f", "racer");
});

test("a file that comes and goes is copied, or its copy fails", { timeout: 240_000 }, async () => {
  const loop = "cd /tmp; while :; do echo mine >s; rm s; done";
  await daemon().dockerOk("run", "-d", "--name", "fickle", "busybox", "sh", "-c", loop);
  const empty = [];
  for (let round = 0; round < 300; round += 1) {
    const found = await daemon()
      .api("GET", "/containers/fickle/archive?path=/tmp/s")
      .catch(() => undefined);
    if (found?.status === 200 && !found.text.startsWith("s\0")) empty.push(found.bytes.length);
  }
  expect(empty).toEqual([]);
  await daemon().dockerOk("rm", "-f", "fickle");
});

test("nothing is loaded or run from a container (CVE-2019-14271, CVE-2026-41567)", async () => {
  const marker = here("marker");
  const program = `#!/bin/sh\ntouch ${marker} /marker\n`;
  await daemon().dockerOk("run", "-d", "--name", "trap", "-v", `${folder}:${folder}`, "busybox", "sleep", "1000");
  const names = ["xz", "gzip", "unpigz", "bzip2", "zstd", "tar", "mknod"];
  const programs = names.flatMap((name) =>
    ["bin", "usr/bin"].map((place) => ({ name: `${place}/${name}`, content: program, mode: 0o755 })),
  );
  const library = { name: "lib/libnss_files.so.2", content: "\x7fELF no library", mode: 0o755 };
  expect(await put(daemon(), "trap", "/", tar(...programs, library))).toBeUndefined();
  for (const filter of ["gzip", "xz", "bzip2"]) {
    const done = await daemon().run(["sh", "-c", `echo x >${here("x")}; tar -C ${folder} -c x | ${filter} | docker cp - trap:/tmp`]);
    expect([filter, done.code, done.stderr]).toEqual([filter, 0, ""]);
  }
  await daemon().dockerOk("cp", "trap:/lib", here("lib"));
  expect(existsSync(marker)).toBe(false);
  expect(await inside("trap", "ls /marker 2>&1 || true")).toContain("No such file");
});

describe("archives that lead out", () => {
  const UP = "../".repeat(30);
  const link = (name: string, target: string): Entry => ({ name, type: "symlink", link: target });
  test.each<[string, () => Entry[]]>([
    ["a name that leads up", () => [{ name: `${UP}${here("host")}/new`, content: "evil" }]],
    ["an absolute name", () => [{ name: `${here("host")}/new`, content: "evil" }]],
    ["a file below a symlink to the host", () => [link("out", here("host")), { name: "out/new", content: "evil" }]],
    ["a file below a relative symlink", () => [link("out", UP + here("host")), { name: "out/new", content: "evil" }]],
    ["a file below a magic link", () => [link("out", "/proc/self/root"), { name: `out${here("host")}/new`, content: "evil" }]],
    ["a hard link to the host", () => [{ name: "out", type: "hardlink", link: `${here("host")}/secret` }]],
    ["a hard link that leads up", () => [{ name: "out", type: "hardlink", link: `${UP}${here("host")}/secret` }]],
    ["a folder in the symlink's place", () => [link("out", here("host")), { name: "out", type: "directory", mode: 0o777 }]],
    ["a body that never comes", () => [{ name: "x", content: "x", sizeBytes: 2 ** 40 }]],
  ])("%s", async (_what, entries) => {
    await daemon().dockerOk("run", "-d", "--name", "box", "busybox", "sleep", "1000");
    await put(daemon(), "box", "/tmp", tar(...entries()), "");
    await put(daemon(), "box", "/tmp", tar(...entries()));
    expectUntouched();
    expect((await daemon().docker("exec", "box", "sh", "-c", `cat ${here("host")}/secret /tmp/out`)).stdout).not.toContain("of the host");
    await daemon().dockerOk("rm", "-f", "box");
  });
});

test("a device is told of and never opened", async () => {
  await daemon().dockerOk("run", "-d", "--name", "box", "busybox", "sleep", "1000");
  const nodes = tar({ name: "dev", type: "character", device: [1, 5] }, { name: "pipe", type: "fifo" });
  await inside("box", "mkdir /nodes");
  expect(await put(daemon(), "box", "/nodes", nodes)).toBeUndefined();
  const listed = await daemon().run(["sh", "-c", "docker cp box:/nodes - | tar tv | cut -c1"]);
  expect(listed.stdout).toBe("d\nc\np\n");
});

describe("a copy that ends in the middle", () => {
  async function waitFor(what: string, holds: () => Promise<boolean>): Promise<void> {
    for (let attempt = 0; attempt < 200; attempt += 1) {
      if (await holds()) return;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    throw new Error(`it did not come to be: ${what}`);
  }

  /** Sends the beginning of a file for ever. */
  async function sendHalf(container: string): Promise<{ stop(): Promise<void> }> {
    const script = `{ tar -C ${folder} -c --format=ustar big | head -c 3000000; sleep 1000; } | docker cp - ${container}:/tmp`;
    await daemon().run(["sh", "-c", `head -c 9000000 /dev/zero >${here("big")}`]);
    const sender = spawn("setsid", ["sh", "-c", script], { env: { ...process.env, DOCKER_HOST: `unix://${daemon().socketPath}` } });
    const ended = new Promise((resolve) => sender.once("close", resolve));
    return {
      async stop() {
        if (sender.pid !== undefined) process.kill(-sender.pid, "SIGKILL");
        await ended;
      },
    };
  }

  test("into a container that runs: no half of a file is left", async () => {
    await daemon().dockerOk("run", "-d", "--name", "box", "busybox", "sleep", "1000");
    const sender = await sendHalf("box");
    await waitFor("a part of it arrives", async () => (await inside("box", "ls /tmp")) === "big");
    await sender.stop();
    await waitFor("it is gone", async () => (await inside("box", "ls /tmp")) === "");
  });

  test("into one that does not run: it can start again, and go", async () => {
    await daemon().dockerOk("create", "--name", "box", "busybox", "ls", "/tmp");
    const sender = await sendHalf("box");
    await new Promise((resolve) => setTimeout(resolve, 500));
    await sender.stop();
    expect(await daemon().dockerOk("start", "-a", "box")).toBe("");
    await daemon().dockerOk("rm", "box");
  });

  test("with the daemon: the next start tidies up", async () => {
    await daemon().dockerOk("create", "--name", "box", "-v", "data:/data", "busybox", "true");
    const sender = await sendHalf("box");
    await new Promise((resolve) => setTimeout(resolve, 500));
    await daemon().kill();
    await sender.stop();
    await daemon().start();
    expect((await daemon().tsubo("doctor")).code).toBe(0);
    await daemon().dockerOk("start", "-a", "box");
    await daemon().dockerOk("rm", "box");
    await daemon().dockerOk("volume", "rm", "data");
  });

  test("out of a container: it goes on as if nothing were", async () => {
    await daemon().dockerOk("run", "-d", "--name", "box", "busybox", "sh", "-c", "head -c 200000000 /dev/zero >/big; sleep 1000");
    await waitFor("the file is there", async () => (await inside("box", "stat -c %s /big")) === "200000000");
    const out = await daemon().run(["sh", "-c", "docker cp box:/big - | head -c 1000000 | wc -c"]);
    expect(out.stdout.trim()).toBe("1000000");
    await daemon().dockerOk("stop", "-t", "0", "box");
    await daemon().dockerOk("start", "box");
  });
});

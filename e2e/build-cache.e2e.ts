import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";

import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from "vitest";

import { hasDockerCli } from "../src/testing/daemon.ts";
import { useDaemon } from "./harness.ts";
import { removeImages } from "./images/pulls.ts";

/** What is in the build cache, and what `docker builder prune` takes out of it. */

const daemon = useDaemon();
let folder: string;

beforeAll(() => {
  folder = mkdtempSync("/tmp/tsubo-build-cache-");
});
beforeEach(({ skip }) => skip(!hasDockerCli(), "there is no docker on PATH"));
afterEach(async () => {
  await removeImages(daemon());
  await daemon().dockerOk("builder", "prune", "-af");
});
afterAll(() => rmSync(folder, { recursive: true }));

interface Row {
  ID: string;
  Type: string;
  Description: string;
  Shared: boolean;
  InUse: boolean;
  Size: number;
  UsageCount: number;
  Parents?: string[];
  LastUsedAt: string;
}

async function cache(): Promise<Row[]> {
  const answer = await daemon().api("GET", "/v1.50/system/df?type=build-cache");
  return ((answer.json() as { BuildCache: Row[] | null }).BuildCache ?? []).toSorted((a, b) => (a.LastUsedAt < b.LastUsedAt ? -1 : 1));
}

async function build(dockerfile: string, ...args: string[]): Promise<string> {
  const context = path.join(folder, "context");
  mkdirSync(context, { recursive: true });
  writeFileSync(path.join(context, "Dockerfile"), dockerfile);
  const { code, stdout, stderr } = await daemon().run([daemon().pathOf("docker"), "build", ...args, context], {
    env: { DOCKER_BUILDKIT: "0" },
  });
  if (code !== 0) throw new Error(stdout + stderr);
  return stdout;
}

const prune = (...args: string[]): Promise<string> => daemon().dockerOk("builder", "prune", "-f", ...args);

async function images(...args: string[]): Promise<string[]> {
  return (await daemon().dockerOk("images", "-q", "--no-trunc", ...args)).split("\n").filter(Boolean);
}

test("the steps of an image are records, shared with it, and are counted when they are found", async () => {
  const dockerfile = "FROM busybox\nENV A=1\nRUN head -c 100000 /dev/zero > /big\n";
  await build(dockerfile, "-t", "named");
  await build(dockerfile, "-t", "named");
  const rows = await cache();
  expect(rows).toMatchObject([
    { Type: "regular", Description: "ENV A=1", Shared: true, InUse: false, Size: 0, UsageCount: 2 },
    { Type: "regular", Description: "RUN head -c 100000 /dev/zero > /big", Shared: true, Size: 100_000, UsageCount: 2 },
  ]);
  expect(rows[1]?.Parents).toEqual([rows[0]?.ID]);
  expect(rows[1]?.ID).toBe((await images("named"))[0]);
  const old = (await daemon().api("GET", "/v1.41/system/df")).json() as { BuilderSize: number; BuildCache: { Parent: string }[] };
  expect(old.BuilderSize).toBe(100_000);
  expect(old.BuildCache.map(({ Parent }) => Parent)).toContain(rows[0]?.ID);
  expect(await daemon().dockerOk("system", "df", "--format", "{{.Type}} {{.TotalCount}} {{.Size}}")).toContain("Build Cache 2 0B");
});

test("what nothing needs goes; a named image and the steps below it stay, and what a build came to", async () => {
  await build("FROM busybox AS one\nRUN head -c 50000 /dev/zero > /one\nFROM busybox\nRUN echo named > /x\n", "-t", "named");
  const id = (await build("FROM busybox\nRUN echo a > /a\nRUN echo b > /b\n", "-q")).trim();
  const before = await cache();
  expect(before).toHaveLength(4);
  const printed = await prune();
  const gone = before.find(({ Description }) => Description.includes("/one"));
  expect(printed).toContain(gone?.ID);
  expect(printed).toMatch(/^Total:?\s+(?:reclaimed space: )?50(?:\.00)?kB$/m);
  expect((await cache()).map(({ ID }) => ID)).toEqual(before.filter((row) => row !== gone).map(({ ID }) => ID));
  await prune("-a");
  expect(await images("named")).toHaveLength(1);
  expect(await images()).toContain(id);
  expect(await daemon().dockerOk("run", "--rm", id, "cat", "/a", "/b")).toBe("a\nb");

  await daemon().dockerOk("image", "prune", "-f");
  expect(await images()).not.toContain(id);
  expect((await cache()).map(({ Description }) => Description)).toEqual(["RUN echo named > /x"]);
});

test("a step that a container uses stays until the container goes", async () => {
  await build("FROM busybox AS one\nRUN echo one > /one\nFROM busybox\nRUN echo two > /two\n", "-t", "named");
  const step = (await cache()).find(({ Description }) => Description.includes("/one"))?.ID ?? "";
  await daemon().dockerOk("create", "--name", "user", step);
  expect(await prune("-a")).not.toContain(step);
  expect((await cache()).find(({ ID }) => ID === step)).toMatchObject({ InUse: true });
  await daemon().dockerOk("rm", "user");
  expect(await prune("-a")).toContain(step);
  expect((await daemon().docker("inspect", step)).code).not.toBe(0);
});

test("cache mounts are records, and go with -a or when asked for by type", async () => {
  const use = "FROM busybox\nRUN --mount=type=cache,target=/cache head -c 30000 /dev/zero > /cache/f\n";
  await build(use, "-t", "named");
  expect(await cache()).toContainEqual(
    expect.objectContaining({ Type: "exec.cachemount", Description: "cached mount /cache", InUse: false, UsageCount: 1 }),
  );
  await prune();
  await prune("--filter", "type=regular", "-a");
  expect((await cache()).filter(({ Type }) => Type === "exec.cachemount")).toHaveLength(1);
  expect(await prune("--filter", "type=exec.cachemount")).toMatch(/\b30(?:\.\d+)?kB$/m);
  const look = "FROM busybox\nRUN --mount=type=cache,target=/cache ls /cache > /seen\n";
  await build(look, "-t", "seen");
  expect(await daemon().dockerOk("run", "--rm", "seen", "cat", "/seen")).toBe("");
  expect(await prune("-a")).toMatch(/^[0-9a-f]{12,64}/m);
  expect((await cache()).filter(({ Type }) => Type === "exec.cachemount")).toEqual([]);
});

test("filters and limits choose; the longest unused goes first", async () => {
  for (const name of ["a", "b", "c"])
    await build(`FROM busybox AS one\nRUN head -c 100000 /dev/zero > /${name}\nFROM scratch\nLABEL a=b\n`, "-t", "named");
  expect(await prune("--filter", "until=1h")).toMatch(/\b0B$/m);
  expect(await prune("--filter", "description=RUN nothing")).toMatch(/\b0B$/m);
  await daemon().api("POST", "/v1.50/build/prune?reserved-space=150000");
  expect((await cache()).map(({ Description }) => Description).filter((text) => text.startsWith("RUN"))).toEqual([
    "RUN head -c 100000 /dev/zero > /c",
  ]);
  for (const [query, message] of [
    ['filters={"foo":["x"]}', "failed to prune build cache: invalid filter 'foo'"],
    ['filters={"until":["1h"],"unused-for":["1h"]}', 'failed to prune build cache: conflicting filters: "until" and "unused-for"'],
    ['filters={"type":["a","b"]}', "failed to prune build cache: filters expect only one value"],
    ["keep-storage=x", expect.stringMatching(/^keep-storage is in bytes and expects an integer, got x/)],
  ] as const) {
    const answer = await daemon().api("POST", `/v1.50/build/prune?${encodeURI(query)}`);
    expect([answer.status, answer.json()]).toEqual([400, { message }]);
  }
});

test("a prune is an event", async () => {
  await prune();
  const events = await daemon().dockerOk(
    "events",
    "--since",
    "1m",
    "--until",
    String(Date.now() / 1000),
    "--filter",
    "type=builder",
    "--format",
    "{{json .}}",
  );
  const last: unknown = JSON.parse(events.split("\n").at(-1) ?? "");
  expect(last).toMatchObject({ Type: "builder", Action: "prune", Actor: { Attributes: { reclaimed: "0" } } });
});

test("uses are known after a restart", async () => {
  const dockerfile = "FROM busybox\nENV A=1\n";
  await build(dockerfile, "-t", "named");
  await build(dockerfile, "-t", "named");
  await daemon().stop();
  await daemon().start();
  expect(await cache()).toMatchObject([{ UsageCount: 2 }]);
});

test("a build that has an id is cancelled by it; one that is not there is no error", async () => {
  const context = path.join(folder, "slow");
  mkdirSync(context, { recursive: true });
  writeFileSync(path.join(context, "Dockerfile"), "FROM busybox\nRUN echo begun && sleep 1000\n");
  const tar = await daemon().run(["sh", "-c", `tar -C ${context} -cf - . | base64 -w0`]);
  const building = daemon().api("POST", "/v1.50/build?buildid=mine", Buffer.from(tar.stdout, "base64"));
  const bundles = path.join(daemon().roots.exec, "containers");
  await vi.waitFor(() => expect(readdirSync(bundles)).toHaveLength(1), { timeout: 20_000 });
  expect((await daemon().api("POST", "/v1.50/build/cancel?id=other")).status).toBe(200);
  expect(readdirSync(bundles)).toHaveLength(1);
  expect((await daemon().api("POST", "/v1.50/build/cancel?id=mine")).status).toBe(200);
  expect((await building).text).toContain('"error":"Build cancelled"');
  expect(readdirSync(bundles)).toEqual([]);
  expect((await daemon().api("POST", "/v1.50/build/cancel")).json()).toEqual({ message: "build ID not provided" });
});

import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

import type { TestDaemon } from "../src/testing/daemon.ts";
import { tar } from "../src/testing/tar.ts";
import { useDaemon } from "./harness.ts";
import { FIRST_TAR, makeImage } from "./images/image.ts";

/**
 * Every step of every multi-step operation, broken once by an error and once by the death of the process. Afterwards the machine must be
 * clean: after an error at once, after a death when the daemon has come up again; the harness looks after each test. The steps are read
 * from the sources, so that a new one is tested from the day it is written.
 */

interface Operation {
  what: string;
  steps: RegExp;
  process: "daemon" | "keeper";
  perform(daemon: TestDaemon): Promise<void>;
}

const OPERATIONS: Operation[] = [
  {
    what: "a container from create to remove",
    steps: /^(containers\.(?!commit|connect|copy|disconnect)|network\.(join|leave|connect)\.|layers\.removeWritable\.)/,
    process: "daemon",
    perform: runContainer,
  },
  {
    what: "a network from create to rm, with a container that comes and goes",
    steps: /^(network\.(create|remove|attach|detach|settle)|containers\.(connect|disconnect))\./,
    process: "daemon",
    perform: useNetwork,
  },
  { what: "copies into and out of a container that does not run", steps: /^containers\.copy\./, process: "daemon", perform: copyFiles },
  { what: "a volume from its creation to rm", steps: /^volumes\./, process: "daemon", perform: useVolume },
  {
    what: "import of an image and its removal",
    steps: /^(images\.(import|add)|layers\.(commit|remove))\./,
    process: "daemon",
    perform: importImage,
  },
  { what: "images loaded, saved and removed", steps: /^images\.(load|save)\./, process: "daemon", perform: loadAndSave },
  { what: "a build", steps: /^layers\.staged\./, process: "daemon", perform: buildImage },
  { what: "a container, in the keeper", steps: /^(keeper\.(start|exit|forget)|runtime)\./, process: "keeper", perform: runContainer },
  { what: "an exec, in the keeper", steps: /^keeper\.exec\./, process: "keeper", perform: runExec },
];

/** Steps of the daemon's start: when they are broken, the daemon does not come up or lives through it; the next one has everything. */
const STARTS = [
  { what: "the default network", steps: /^network\.(setup|bridge)\./, prepare: removeBridge },
  { what: "a keeper that takes containers over", steps: /^keeper\.adopt\./, prepare: async () => undefined },
];

/** Steps that the tests in another file break; it must name them. */
const ELSEWHERE = /^(images\.(pull|push)|containers\.commit|layers\.copy|log\.(rotate|compress))\./;

const WAIT_FOR_DEATH_MS = 20_000;

const daemon = useDaemon();
const failpoints = findFailpoints();
let archive: Buffer;

beforeAll(async () => {
  archive = await makeArchive();
});
afterAll(async () => {
  // Armed processes must not outlive the file.
  await daemon().kill();
});

test("every failpoint is broken by a test", () => {
  expect(failpoints.length).toBeGreaterThan(10);
  const others = readdirSync(import.meta.dirname, { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".ts") && file !== "failpoints.e2e.ts")
    .map((file) => readFileSync(path.join(import.meta.dirname, file), "utf8"))
    .join("\n");
  const operationsOf = (name: string): number => [...OPERATIONS, ...STARTS].filter(({ steps }) => steps.test(name)).length;
  const forgotten = failpoints.filter((name) => operationsOf(name) !== 1 && !(ELSEWHERE.test(name) && others.includes(name)));
  expect(forgotten).toEqual([]);
});

describe.each(OPERATIONS)("$what", ({ steps, process: where, perform }) => {
  describe.each(failpoints.filter((name) => steps.test(name)))("%s", (name) => {
    test("an error there is undone", async () => {
      await restart(`${name}=error@1`);
      await perform(daemon());
    });

    test("a death there is recovered from", async () => {
      await restart(`${name}=crash@1`);
      const keeper = daemon().keeperPid();
      await perform(daemon());
      const isDead = (): boolean => (where === "daemon" ? daemon().pid() === undefined : daemon().keeperPid() !== keeper);
      await expect.poll(isDead, { timeout: WAIT_FOR_DEATH_MS, message: "the operation passes this failpoint" }).toBe(true);
      await restart();
      await runContainer(daemon());
    });
  });
});

describe.each(STARTS)("$what", ({ steps, prepare }) => {
  const broken = failpoints.filter((name) => steps.test(name)).flatMap((name) => [`${name}=error@1`, `${name}=crash@1`]);
  test.each(broken)("%s", async (armed) => {
    await restart();
    await daemon().dockerOk("run", "-d", "--name", "sleeper", "busybox", "sleep", "1000");
    const pid = await daemon().dockerOk("inspect", "-f", "{{.State.Pid}}", "sleeper");
    await daemon().kill();
    await daemon().killKeeper();
    await prepare();
    // It may live through an error.
    const came = await daemon()
      .start({ failpoints: armed })
      .then(
        () => true,
        () => false,
      );
    expect({ armed, came }).not.toEqual({ armed: expect.stringContaining("crash"), came: true });
    await restart();
    expect(await daemon().dockerOk("inspect", "-f", "{{.State.Status}} {{.State.Pid}}", "sleeper")).toBe(`running ${pid}`);
    await runContainer(daemon());
  });
});

/** A volume is filled wholly or not at all, whatever fails; and it works the second time. */
async function useVolume(d: TestDaemon): Promise<void> {
  await d.docker("run", "--rm", "-v", "filled:/bin", "busybox", "true");
  await d.docker("volume", "rm", "filled");
  // Once more while somebody looks at it, empty.
  await d.docker("run", "-d", "--name", "watcher", "-v", "watched:/seen", "busybox", "sleep", "1000");
  await d.docker("create", "--name", "filler", "-v", "watched:/bin", "busybox", "true");
  if ((await d.docker("version")).code !== 0) return;
  await d.docker("rm", "-f", "watcher", "filler");
  await d.docker("volume", "rm", "watched");
  await d.dockerOk("run", "--rm", "-v", "filled:/bin", "busybox", "true");
  const image = await d.dockerOk("run", "--rm", "busybox", "ls", "-l", "/bin");
  expect(await d.dockerOk("run", "--rm", "-v", "filled:/seen", "busybox", "ls", "-l", "/seen")).toBe(image);
  await d.dockerOk("volume", "rm", "filled");
}

/** What fails leaves the container as it was. */
async function copyFiles(d: TestDaemon): Promise<void> {
  await d.docker("create", "--name", "holder", "-v", "held:/data", "busybox", "ls", "/data");
  await d.docker("cp", "/etc/hostname", "holder:/data");
  if ((await d.docker("version")).code !== 0) return;
  await d.dockerOk("cp", "/etc/hostname", "holder:/data");
  await d.dockerOk("cp", "holder:/data", "-");
  expect(await d.dockerOk("start", "-a", "holder")).toBe("hostname");
  await d.dockerOk("rm", "holder");
  await d.dockerOk("volume", "rm", "held");
}

/** Goes on past what fails: the step that is broken may be any of them. */
async function useNetwork(d: TestDaemon): Promise<void> {
  await d.docker("run", "-d", "--name", "visitor", "-p", "127.0.0.1::80", "busybox", "sleep", "1000");
  await d.docker("network", "create", "a-visited");
  await d.docker("network", "connect", "a-visited", "visitor");
  await d.docker("network", "disconnect", "a-visited", "visitor");
  await d.docker("network", "rm", "a-visited");
  if ((await d.docker("version")).code !== 0) return;
  // What has failed works the second time.
  await d.docker("network", "disconnect", "-f", "a-visited", "visitor");
  await d.docker("network", "rm", "a-visited");
  await d.dockerOk("network", "create", "a-visited");
  await d.dockerOk("network", "connect", "a-visited", "visitor");
  await d.dockerOk("exec", "visitor", "ip", "addr", "show", "eth1");
  await d.dockerOk("network", "disconnect", "a-visited", "visitor");
  await d.dockerOk("network", "rm", "a-visited");
  await d.dockerOk("rm", "-f", "visitor");
}

async function removeBridge(): Promise<void> {
  await daemon().run(["ip", "link", "delete", daemon().bridge]);
}

/** Both processes anew: the keeper has its failpoints from the daemon that starts it. */
async function restart(failpoints?: string): Promise<void> {
  await daemon().kill();
  if (daemon().keeperPid() !== undefined) await daemon().killKeeper();
  await daemon().start(failpoints === undefined ? {} : { failpoints });
}

/** An answer with an error, or none, is what these tests provoke: each request is made, and none is looked at. */
async function attempt(armed: TestDaemon, method: string, apiPath: string, body?: unknown): Promise<void> {
  await armed.api(method, apiPath, body).catch(() => undefined);
}

async function runContainer(armed: TestDaemon): Promise<void> {
  await attempt(armed, "POST", "/containers/create?name=box", {
    Image: "busybox",
    Cmd: ["true"],
    ExposedPorts: { "80/tcp": {} },
    HostConfig: { PortBindings: { "80/tcp": [{ HostIp: "127.0.0.1", HostPort: "0" }] } },
  });
  await attempt(armed, "POST", "/containers/box/start");
  await attempt(armed, "POST", "/containers/box/wait");
  await attempt(armed, "DELETE", "/containers/box?force=1");
}

async function runExec(armed: TestDaemon): Promise<void> {
  await attempt(armed, "POST", "/containers/create?name=sleeper", { Image: "busybox", Cmd: ["sleep", "1000"] });
  await attempt(armed, "POST", "/containers/sleeper/start");
  const created = await armed.api("POST", "/containers/sleeper/exec", { Cmd: ["true"] });
  // The shape is the Engine API's.
  const { Id } = created.json() as { Id: string };
  await attempt(armed, "POST", `/exec/${Id}/start`, { Detach: true });
}

async function importImage(armed: TestDaemon): Promise<void> {
  await attempt(armed, "POST", "/images/create?fromSrc=-&repo=imported", archive);
  await attempt(armed, "DELETE", "/images/imported?force=1");
}

/** Docker's archives of today and of old. */
async function loadAndSave(armed: TestDaemon): Promise<void> {
  const { config } = makeImage([FIRST_TAR]);
  const id = "1".repeat(64);
  const today = [
    { name: "config", content: config.bytes },
    { name: "layer", content: FIRST_TAR },
    { name: "manifest.json", content: JSON.stringify([{ Config: "config", RepoTags: ["loaded:1"], Layers: ["layer"] }]) },
  ];
  const old = [
    { name: `${id}/json`, content: JSON.stringify({ id, os: "linux" }) },
    { name: `${id}/layer.tar`, content: archive },
    { name: "repositories", content: JSON.stringify({ loaded: { 2: id } }) },
  ];
  for (const entries of [today, old]) await attempt(armed, "POST", "/images/load", tar(...entries));
  for (const tag of ["1", "2"]) {
    await attempt(armed, "GET", `/images/loaded:${tag}/get`);
    await attempt(armed, "DELETE", `/images/loaded:${tag}?force=1`);
  }
}

async function buildImage(armed: TestDaemon): Promise<void> {
  await attempt(armed, "POST", "/build?t=built", tar({ name: "Dockerfile", content: "FROM busybox\nRUN echo x > /x\n" }));
  await attempt(armed, "DELETE", "/images/built?force=1");
}

async function makeArchive(): Promise<Buffer> {
  const folder = mkdtempSync("/tmp/tsubo-e2e-archive-");
  mkdirSync(path.join(folder, "root"));
  writeFileSync(path.join(folder, "root/file"), "content");
  await daemon().run(["tar", "-C", path.join(folder, "root"), "-cf", path.join(folder, "root.tar"), "."]);
  const content = readFileSync(path.join(folder, "root.tar"));
  rmSync(folder, { recursive: true });
  return content;
}

function findFailpoints(): string[] {
  const root = path.resolve(import.meta.dirname, "../src");
  const files = readdirSync(root, { recursive: true, encoding: "utf8" }).filter(
    (file) => file.endsWith(".ts") && !file.endsWith(".test.ts"),
  );
  const names = files
    .filter((file) => file !== "base/failpoint.ts")
    .flatMap((file) =>
      [...readFileSync(path.join(root, file), "utf8").matchAll(/\bfailpoint\(\s*"([^"]+)"/g)].map(([, name = ""]) => name),
    );
  return names.toSorted();
}

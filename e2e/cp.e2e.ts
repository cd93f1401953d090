import {
  chmodSync,
  chownSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import path from "node:path";

import { afterEach, beforeEach, describe, expect, test } from "vitest";

import { tar } from "../src/testing/tar.ts";
import { getRefused, put, stat } from "./cp/archive.ts";
import { useDaemon } from "./harness.ts";

/** `docker cp` both ways: by the stock client, and what of it only the API can ask for. */

const daemon = useDaemon();
let folder = "";

beforeEach(() => {
  folder = mkdtempSync("/tmp/tsubo-cp-");
});
afterEach(() => rmSync(folder, { recursive: true }));

const here = (name: string): string => path.join(folder, name);
const inside = (container: string, script: string): Promise<string> => daemon().dockerOk("exec", container, "sh", "-c", script);
const cp = (...args: string[]): Promise<string> => daemon().dockerOk("cp", ...args);

async function run(...args: string[]): Promise<void> {
  await daemon().dockerOk("run", "-d", "--name", "box", ...args, "busybox", "sleep", "1000");
}

/** A tree with one of each. */
function makeTree(): string {
  const tree = here("tree");
  mkdirSync(path.join(tree, "sub"), { recursive: true });
  writeFileSync(path.join(tree, "file"), "content\n");
  chmodSync(path.join(tree, "file"), 0o640);
  chownSync(path.join(tree, "file"), 1000, 1001);
  linkSync(path.join(tree, "file"), path.join(tree, "hard"));
  symlinkSync("../nowhere", path.join(tree, "sub", "link"));
  writeFileSync(path.join(tree, "sub", "setuid"), "");
  chmodSync(path.join(tree, "sub", "setuid"), 0o4755);
  writeFileSync(path.join(tree, "ü ß"), "");
  chmodSync(path.join(tree, "sub"), 0o1770);
  return tree;
}

const LIST = "find . -exec stat -c '%n %F %a %u:%g %h' {} + | sort";

test("a tree goes in and comes out as it was", async () => {
  const tree = makeTree();
  await run();
  await cp(tree, "box:/tmp");
  const listed = await daemon().run(["sh", "-c", `cd ${tree} && ${LIST}`]);
  const words = (text: string): string => text.replaceAll("regular empty file", "regular file").trim();
  expect(words(await inside("box", `cd /tmp/tree && ${LIST}`))).toBe(words(listed.stdout));
  await cp("-a", "box:/tmp/tree", here("back"));
  const back = await daemon().run(["sh", "-c", `cd ${here("back")} && ${LIST}`]);
  // Out of a container everything is whose the client is.
  expect(words(back.stdout)).toBe(words(listed.stdout).replaceAll("1000:1001", "0:0"));
});

test("extended attributes that images keep come out, and go in", async () => {
  await run();
  const program = tar({ name: "program", content: "x", pax: { "SCHILY.xattr.security.capability": capability() } });
  expect(await put(daemon(), "box", "/tmp", program)).toBeUndefined();
  const out = await daemon().run(["sh", "-c", "docker cp box:/tmp/program - | grep -c SCHILY.xattr.security.capability"]);
  expect(out.stdout.trim()).toBe("1");
});

/** CAP_NET_RAW, as a file has it. */
function capability(): Buffer {
  const bytes = Buffer.alloc(20);
  bytes.writeUInt32LE(0x02000001, 0);
  bytes.writeUInt32LE(1 << 13, 4);
  return bytes;
}

test("100 MB arrive whole, both ways", async () => {
  await run();
  await daemon().run(["sh", "-c", `head -c 100000000 /dev/urandom >${here("big")}`]);
  await cp(here("big"), "box:/big");
  await cp("box:/big", here("back"));
  const sums = await daemon().run(["sh", "-c", `sha256sum <${here("big")}; sha256sum <${here("back")}`]);
  const [one, two] = sums.stdout.trim().split("\n");
  expect(two).toBe(one);
  expect(await inside("box", "sha256sum </big")).toBe(one);
});

describe("what a container has mounted", () => {
  test("volumes, binds and tmpfs of one that runs", async () => {
    mkdirSync(here("bound"));
    writeFileSync(here("file"), "x");
    await run("-v", "data:/data", "-v", `${here("bound")}:/bound`, "--tmpfs", "/memory");
    for (const place of ["data", "bound", "memory"]) {
      await cp(here("file"), `box:/${place}/copied`);
      expect(await inside("box", `cat /${place}/copied; grep -c ' /${place} ' /proc/mounts`)).toBe("x1");
      await inside("box", `echo from >/${place}/made`);
      await cp(`box:/${place}/made`, here(`out-${place}`));
      expect(readFileSync(here(`out-${place}`), "utf8")).toBe("from\n");
    }
    expect(readdirSync(here("bound")).sort()).toEqual(["copied", "made"]);
    expect(await daemon().dockerOk("diff", "box")).not.toMatch(/copied|made/);
    await daemon().dockerOk("rm", "-f", "box");
    await daemon().dockerOk("volume", "rm", "data");
  });

  test("of one that does not run, too; it has them when it starts", async () => {
    mkdirSync(here("bound"));
    writeFileSync(here("file"), "x");
    await daemon().dockerOk("create", "--name", "box", "-v", "data:/data", "-v", `${here("bound")}:/bound`, "busybox", "sleep", "1000");
    for (const place of ["data", "bound", "root"]) {
      await cp(here("file"), `box:/${place}/copied`);
      await cp(`box:/${place}`, here(`out-${place}`));
      expect(readdirSync(here(`out-${place}`))).toEqual(["copied"]);
    }
    await daemon().dockerOk("start", "box");
    expect(await inside("box", "cat /data/copied /bound/copied /root/copied")).toBe("xxx");
    await daemon().dockerOk("stop", "-t", "0", "box");
    await cp("box:/etc/hostname", here("hostname"));
    expect(readFileSync(here("hostname"), "utf8")).toMatch(/^[0-9a-f]{12}\n$/);
    await daemon().dockerOk("rm", "box");
    await daemon().dockerOk("volume", "rm", "data");
  });

  test("a mount is not taken away by what is to stand in its place", async () => {
    await run("-v", "data:/data/volume");
    expect(await put(daemon(), "box", "/etc", tar({ name: "hosts", content: "mine" }))).toEqual({
      status: 500,
      message: "unlinkat /etc/hosts: device or resource busy",
    });
    expect(await put(daemon(), "box", "/", tar({ name: "data", content: "mine" }), "")).toMatchObject({
      message: "unlinkat /data/volume: device or resource busy",
    });
    expect(await inside("box", "grep -cE ' (/etc/hosts|/data/volume) ' /proc/mounts; grep -c mine /etc/hosts || true")).toBe("2\n0");
    await daemon().dockerOk("rm", "-f", "box");
    await daemon().dockerOk("volume", "rm", "data");
  });

  test("what is read-only stays so", async () => {
    await run("--read-only", "--tmpfs", "/run", "-v", "data:/data", "-v", `${folder}:/ro:ro`);
    const file = tar({ name: "x", content: "x" });
    expect(await put(daemon(), "box", "/tmp", file)).toEqual({ status: 400, message: "container rootfs is marked read-only" });
    expect(await put(daemon(), "box", "/ro", file)).toEqual({ status: 400, message: "mounted volume is marked read-only" });
    for (const place of ["/data", "/run"]) expect(await put(daemon(), "box", place, file)).toBeUndefined();
    // By another name that leads there.
    expect(
      await put(daemon(), "box", "/data", tar({ name: "to-ro", type: "symlink", link: "/ro" }, { name: "to-ro/x", content: "x" })),
    ).toEqual({
      status: 500,
      message: 'unpacking "to-ro/x": read-only file system',
    });
    expect(readdirSync(folder)).toEqual([]);
    await daemon().dockerOk("rm", "-f", "box");
    await daemon().dockerOk("volume", "rm", "data");
  });
});

test("what is said of a path: Go's bits, and where links lead", async () => {
  await run();
  await inside(
    "box",
    "cd /tmp && mkdir d && chmod 3750 d && echo hi >f && chmod 4711 f && ln -s d rel && ln -s /tmp/rel/../f abs && ln -s no/where gone && mkfifo p && ln -s loop loop",
  );
  const told = async (name: string): Promise<unknown> => {
    const found = await stat(daemon(), "box", `/tmp/${name}`);
    return typeof found === "number" ? found : [found["name"], Number(found["mode"]).toString(8), found["linkTarget"]];
  };
  expect(await told("d")).toEqual(["d", (2 ** 31 + 2 ** 22 + 2 ** 20 + 0o750).toString(8), ""]);
  expect(await told("f")).toEqual(["f", (2 ** 23 + 0o711).toString(8), ""]);
  expect(await told("rel")).toEqual(["rel", (2 ** 27 + 0o777).toString(8), "/tmp/d"]);
  expect(await told("rel/")).toEqual(["rel", (2 ** 31 + 2 ** 22 + 2 ** 20 + 0o750).toString(8), ""]);
  expect(await told("abs")).toEqual(["abs", (2 ** 27 + 0o777).toString(8), "/tmp/f"]);
  expect(await told("gone")).toEqual(["gone", (2 ** 27 + 0o777).toString(8), "/tmp/no/where"]);
  expect(await told("p")).toEqual(["p", (2 ** 25 + 0o644).toString(8), ""]);
  expect(await told("loop")).toBe(500);
  expect(await told("nope")).toBe(404);
});

test("what cannot be had is refused in Docker's words", async () => {
  await run();
  const refused = (file: string): Promise<unknown> => getRefused(daemon(), "box", file);
  expect(await refused("/nope")).toEqual({ status: 404, message: "Could not find the file /nope in container box" });
  expect(await refused("/etc/passwd/x")).toEqual({ status: 500, message: "lstat /etc/passwd/x: not a directory" });
  expect(await refused("")).toEqual({ status: 400, message: "bad parameter: pathcannot be empty" });
  expect(await refused("/a\0b")).toMatchObject({ status: 400 });
  expect(await refused("/proc/self/environ")).toMatchObject({ status: 404 });
  expect(await getRefused(daemon(), "none", "/")).toEqual({ status: 404, message: "No such container: none" });
  const file = tar({ name: "x", content: "x" });
  expect(await put(daemon(), "box", "/nope", file)).toMatchObject({ status: 404 });
  expect(await put(daemon(), "box", "/etc/passwd", file)).toEqual({ status: 400, message: "extraction point is not a directory" });
  await inside("box", "mkdir -p /tmp/x");
  expect(await put(daemon(), "box", "/tmp", file)).toMatchObject({
    message: 'cannot overwrite directory "/tmp/x" with non-directory "/tmp"',
  });
  expect(await put(daemon(), "box", "/tmp", file, "")).toBeUndefined();
  expect(await put(daemon(), "box", "/tmp", tar({ name: "x", type: "directory" }))).toMatchObject({
    message: 'cannot overwrite non-directory "/tmp/x" with directory "/tmp"',
  });
  expect(await put(daemon(), "box", "/tmp", tar({ name: "../x", content: "x" }))).toMatchObject({ message: '"../x" is outside of "/tmp"' });
  expect(await put(daemon(), "box", "/tmp", tar({ name: "h", type: "hardlink", link: "none" }))).toMatchObject({
    message: expect.stringMatching(/^unpacking "h": the file it is a hard link to/),
  });
  expect(await put(daemon(), "box", "/tmp", Buffer.from("no archive at all".repeat(100)))).toMatchObject({ status: 400 });
});

test("-a makes it the user's that the container runs as", async () => {
  writeFileSync(here("file"), "x");
  await run("-u", "33:44");
  await cp(here("file"), "box:/tmp/as-it-was");
  await cp("-a", here("file"), "box:/tmp/the-users");
  expect(await inside("box", "stat -c %u:%g /tmp/as-it-was /tmp/the-users")).toBe("0:0\n33:44");
});

test("archives come and go by standard input and output, compressed too", async () => {
  mkdirSync(here("d"));
  writeFileSync(here("d/f"), "x");
  await run();
  for (const [name, filter] of Object.entries({ tar: "cat", gzip: "gzip", xz: "xz", bzip2: "bzip2" })) {
    await inside("box", `mkdir /tmp/${name}`);
    const done = await daemon().run(["sh", "-c", `tar -C ${folder} -c d | ${filter} | docker cp - box:/tmp/${name}`]);
    expect([name, done]).toEqual([name, { code: 0, stdout: "", stderr: "" }]);
  }
  expect(await inside("box", "cat /tmp/*/d/f")).toBe("xxxx");
  const out = await daemon().run(["sh", "-c", "docker cp box:/tmp/gzip/. - | tar t"]);
  expect(out.stdout).toBe("./\n./d/\n./d/f\n");
});

test("events tell of both ways", async () => {
  writeFileSync(here("file"), "x");
  await daemon().dockerOk("run", "-d", "--name", "told", "busybox", "sleep", "1000");
  await cp(here("file"), "told:/tmp");
  await cp("told:/tmp/file", here("back"));
  const until = String(Math.ceil(Date.now() / 1000) + 1);
  const events = await daemon().dockerOk("events", "--since", "1h", "--until", until, "-f", "container=told", "--format", "{{.Action}}");
  expect(events.split("\n").filter((action) => /archive|extract/.test(action))).toEqual(["extract-to-dir", "archive-path"]);
});

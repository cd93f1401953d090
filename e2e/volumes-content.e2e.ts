import { lstatSync, mkdirSync, readdirSync, readFileSync, readlinkSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";

import { attributesOf } from "../src/kernel/file-attributes.ts";
import { openTestDaemon } from "../src/testing/daemon.ts";
import { tar } from "../src/testing/tar.ts";
import { useDaemon } from "./harness.ts";
import { digestOf } from "./images/image.ts";
import { dataOf, foldersOf, importImage, makeImage, namesOf } from "./volumes/volumes.ts";

/** Copy-up: what an image has at a volume's place comes into the volume, whole and once; and what a container is shown of volumes and images. */

const daemon = useDaemon();
const docker = (...args: string[]): Promise<string> => daemon().dockerOk(...args);
const run = (...args: string[]): Promise<string> => daemon().dockerOk("run", "--rm", ...args);

/** What there is below a folder of the host, with all that a copy has to bring along. */
function describe(folder: string): string[] {
  const names = [".", ...readdirSync(folder, { recursive: true, encoding: "utf8" }).toSorted()];
  return names.map((name) => {
    const file = path.join(folder, name);
    const status = lstatSync(file, { bigint: true });
    const { mode, uid, gid, nlink, mtimeNs, rdev, size } = status;
    const content = status.isSymbolicLink() ? readlinkSync(file) : status.isFile() ? digestOf(readFileSync(file)) : "";
    const attributes = [...attributesOf(Buffer.from(file).toString("latin1"))].map(([key, value]) => `${key}=${value.toString("hex")}`);
    const bytes = status.isDirectory() ? "" : size;
    return [name, mode.toString(8), uid, gid, nlink, mtimeNs, rdev, bytes, content, ...attributes].join(" ");
  });
}

test("owners, modes, times, links, devices and attributes are the image's", async () => {
  const archive = tar(
    { name: "data/", type: "directory", mode: 0o1770, owner: [3, 4], modifiedSeconds: 1_500_000_000 },
    { name: "data/plain", content: "plain", mode: 0o640, owner: [1000, 1001], modifiedSeconds: 1_400_000_000 },
    { name: "data/setuid", content: "setuid", mode: 0o4755, owner: [7, 8], pax: { "SCHILY.xattr.security.capability": CAPABILITY } },
    { name: "data/twin", type: "hardlink", link: "data/plain" },
    { name: "data/link", type: "symlink", link: "/nowhere/at/all", owner: [5, 6] },
    { name: "data/inside", type: "symlink", link: "sub/deep" },
    { name: "data/null", type: "character", device: [1, 3], mode: 0o666 },
    { name: "data/pipe", type: "fifo", mode: 0o600, owner: [9, 9] },
    { name: "data/sub/", type: "directory", mode: 0o700, owner: [11, 12], modifiedSeconds: 1_300_000_000 },
    { name: "data/sub/deep", content: Buffer.alloc(300_000), modifiedSeconds: 1_200_000_000 },
    { name: "data/n\u00e4me with blanks", content: "x", pax: { path: "data/n\u00e4me with blanks" } },
  );
  await importImage(daemon(), "faithful", archive);
  await docker("create", "--name", "box", "-v", "copy:/data", "faithful", "/x");
  const folder = path.join(daemon().roots.exec, "reference");
  mkdirSync(folder);
  await daemon().run(["tar", "-C", folder, "--xattrs", "--xattrs-include=*", "-xpf", "-"], { input: archive });
  expect(describe(dataOf(daemon(), "copy"))).toEqual(describe(`${folder}/data`));
  rmSync(folder, { recursive: true });
  expect(foldersOf(daemon())).toEqual(["copy/_data"]);
});

test("holes stay holes", async () => {
  const sparse = path.join(daemon().roots.exec, "sparse");
  mkdirSync(`${sparse}/data`, { recursive: true });
  const write = "truncate -s 64M big; printf middle | dd of=big bs=1 seek=40000000 conv=notrunc; truncate -s 1M empty";
  await daemon().run(["sh", "-ec", `cd "$0" && ${write}`, `${sparse}/data`]);
  await daemon().run(["sh", "-c", 'tar -C "$0" -S -c data | docker import - sparse', sparse]);
  await docker("create", "-v", "copy:/data", "sparse", "/x");
  for (const name of ["big", "empty"]) {
    const [copy, original] = [path.join(dataOf(daemon(), "copy"), name), `${sparse}/data/${name}`];
    expect((await daemon().run(["cmp", copy, original])).code).toBe(0);
    expect(lstatSync(copy).blocks).toBeLessThanOrEqual(64);
  }
});

test("an empty folder of the image gives the volume its owner and mode", async () => {
  await importImage(daemon(), "empty", tar({ name: "empty/", type: "directory", mode: 0o1777, owner: [5, 6] }));
  await docker("create", "-v", "copy:/empty", "empty", "/x");
  expect((await daemon().run(["stat", "-c", "%a %u:%g", dataOf(daemon(), "copy")])).stdout).toBe("1777 5:6\n");
  await docker("create", "-v", "other:/missing", "empty", "/x");
  expect((await daemon().run(["stat", "-c", "%a %u:%g", dataOf(daemon(), "other")])).stdout).toBe("755 0:0\n");
});

test("it is copied once: what the user deletes or changes stays so", async () => {
  await makeImage(daemon(), "content", [
    { name: "content/one", content: "image" },
    { name: "content/two", content: "image" },
  ]);
  await run("-v", "copy:/content", "content", "sh", "-c", "rm /content/two; echo mine > /content/one");
  expect(await run("-v", "copy:/content", "content", "sh", "-c", "ls /content; cat /content/one")).toBe("one\nmine");
});

test("not with nocopy, not into a volume that has content, and not for a mount that is inherited", async () => {
  await makeImage(daemon(), "content", [{ name: "content/file", content: "image" }]);
  expect(await run("-v", "none:/content:nocopy", "content", "ls", "/content")).toBe("");
  expect(await run("--mount", "type=volume,src=none,dst=/content,volume-nocopy", "content", "ls", "/content")).toBe("");
  await run("-v", "has:/data", "busybox", "touch", "/data/own");
  expect(await run("-v", "has:/content", "content", "ls", "/content")).toBe("own");
  await docker("create", "--name", "holder", "-v", "held:/content", "busybox", "true");
  expect(await run("--volumes-from", "holder", "content", "ls", "/content")).toBe("");
});

test("a volume that a running container has, empty, gets the content of a later one", async () => {
  await makeImage(daemon(), "content", [{ name: "content/sub/file", content: "image" }]);
  await docker("run", "-d", "--name", "early", "-v", "late:/data", "busybox", "sleep", "1000");
  await docker("create", "-v", "late:/content", "content", "true");
  expect(await docker("exec", "early", "cat", "/data/sub/file")).toBe("image");
  await docker("exec", "early", "touch", "/data/sees-each-other");
  expect(readdirSync(dataOf(daemon(), "late")).toSorted()).toEqual(["sees-each-other", "sub"]);
});

test("a symlink of the image leads no further than the image's root", async () => {
  const secret = path.join(daemon().roots.exec, "secret");
  mkdirSync(secret);
  writeFileSync(`${secret}/file`, "the host's");
  const up = "../".repeat(30);
  await makeImage(daemon(), "hostile", [
    { name: "real/file", content: "image" },
    { name: "link", type: "symlink", link: "/real" },
    { name: "relative", type: "symlink", link: `${up}real` },
    { name: "host", type: "symlink", link: secret },
    { name: "host-relative", type: "symlink", link: `${up}${secret.slice(1)}` },
    { name: "process", type: "symlink", link: "/proc/1/root/etc" },
  ]);
  expect(await run("-v", "one:/link", "hostile", "cat", "/real/file")).toBe("image");
  expect(await run("-v", "two:/relative", "hostile", "cat", "/real/file")).toBe("image");
  for (const [name, place] of Object.entries({ three: "/host", four: "/host-relative", five: "/process" })) {
    await docker("create", "-v", `${name}:${place}`, "hostile", "true");
    expect([place, readdirSync(dataOf(daemon(), name))]).toEqual([place, []]);
  }
  expect(readdirSync(secret)).toEqual(["file"]);
});

test("a place that is a file in the image is refused, and nothing is left", async () => {
  for (const place of ["/etc/passwd", "/etc/passwd/below"]) {
    const { code, stderr } = await daemon().docker("create", "-v", place, "busybox", "true");
    expect([place, code, stderr]).toEqual([place, 1, expect.stringMatching(/cannot mount volume over existing file|not a directory/)]);
  }
  expect(await namesOf(daemon())).toEqual([]);
  expect(await docker("ps", "-aq")).toBe("");
});

test("a full disk during the copy leaves an empty volume, which is filled when there is room", { timeout: 60_000 }, async () => {
  const small = await openTestDaemon();
  mkdirSync(small.roots.data, { recursive: true });
  await small.run(["mount", "-t", "tmpfs", "-o", "size=32m", "small", small.roots.data]);
  try {
    await small.start();
    await makeImage(small, "content", [
      { name: "content/a", content: "a" },
      { name: "content/big", content: Buffer.alloc(10_000_000, "x") },
    ]);
    await small.run(["fallocate", "-l", "12M", path.join(small.roots.data, "ballast")]);
    const { code, stderr } = await small.docker("create", "-v", "full:/content", "content", "true");
    expect([code, stderr]).toEqual([1, expect.stringMatching(/no space left|ENOSPC/i)]);
    expect(foldersOf(small)).toEqual(["full/_data"]);
    expect(readdirSync(dataOf(small, "full"))).toEqual([]);
    expect(await small.dockerOk("ps", "-aq")).toBe("");
    rmSync(path.join(small.roots.data, "ballast"));
    expect(await small.dockerOk("run", "--rm", "-v", "full:/content", "content", "sh", "-c", "cat /content/a; wc -c < /content/big")).toBe(
      "a10000000",
    );
    await small.dockerOk("volume", "rm", "full");
    await small.expectClean();
  } finally {
    await small.stop();
    await small.run(["umount", small.roots.data]);
    await small.close();
  }
});

test("volume-subpath shows a folder or file of a volume, found at the start", async () => {
  await run(
    "-v",
    "whole:/data",
    "busybox",
    "sh",
    "-c",
    "mkdir -p /data/a/b; echo deep > /data/a/b/file; ln -s a/b /data/link; ln -s /etc /data/out",
  );
  const mount = (subpath: string): string => `type=volume,src=whole,dst=/part,volume-subpath=${subpath}`;
  expect(await run("--mount", mount("a/b"), "busybox", "cat", "/part/file")).toBe("deep");
  expect(await run("--mount", mount("link"), "busybox", "cat", "/part/file")).toBe("deep");
  expect(await run("--mount", mount("a/b/file"), "busybox", "cat", "/part")).toBe("deep");
  for (const subpath of ["missing", "out"]) {
    const { code, stderr } = await daemon().docker("run", "--rm", "--mount", mount(subpath), "busybox", "cat", "/part/passwd");
    const words = `cannot access path ${subpath} of whole: no such file or directory`;
    expect([subpath, code === 0, stderr]).toEqual([subpath, false, expect.stringContaining(words)]);
  }
  for (const subpath of ["../x", "/a", "a/../../x"]) {
    const { code, stderr } = await daemon().docker("create", "--mount", mount(subpath), "busybox", "true");
    expect([subpath, code, stderr]).toEqual([subpath, 1, expect.stringContaining("subpath must be a relative path within the volume")]);
  }
  const id = await docker("run", "-d", "--mount", mount("a"), "busybox", "sleep", "1000");
  await daemon().kill();
  await daemon().start();
  expect(await docker("exec", id, "cat", "/part/b/file")).toBe("deep");
  await docker("restart", "-t", "0", id);
  expect(await docker("exec", id, "cat", "/part/b/file")).toBe("deep");
});

test("a subpath that others swap for a symlink never shows the host", { timeout: 90_000 }, async () => {
  await run("-v", "raced:/data", "busybox", "sh", "-c", "mkdir /data/a; echo inside > /data/a/shadow");
  const swap = "while :; do mv /data/a /data/b; ln -s /../../../../../../etc /data/a; rm /data/a; mv /data/b /data/a; done";
  await docker("run", "-d", "-v", "raced:/data", "busybox", "sh", "-c", swap);
  for (let round = 0; round < 15; round += 1) {
    const mount = "type=volume,src=raced,dst=/part,volume-subpath=a";
    const { code, stdout } = await daemon().docker("run", "--rm", "--mount", mount, "busybox", "cat", "/part/shadow");
    expect(code === 0 ? stdout : "inside\n").toBe("inside\n");
  }
});

test(
  "a bind source that others swap for a symlink gives the one or the other, or fails, and leaves nothing",
  { timeout: 90_000 },
  async () => {
    const shared = path.join(daemon().roots.exec, "shared");
    for (const name of ["a", "other"]) {
      mkdirSync(`${shared}/${name}`, { recursive: true });
      writeFileSync(`${shared}/${name}/file`, name);
    }
    const swap = "while :; do mv /s/a /s/b; ln -s other /s/a; rm /s/a; mv /s/b /s/a; done";
    await docker("run", "-d", "--name", "swapper", "-v", `${shared}:/s`, "busybox", "sh", "-c", swap);
    for (let round = 0; round < 15; round += 1) {
      const { code, stdout } = await daemon().docker("run", "--rm", "-v", `${shared}/a:/part:ro`, "busybox", "sh", "-c", "cat /part/file");
      expect(code === 0 ? ["a", "other"] : [""]).toContain(stdout);
    }
    await docker("rm", "-f", "swapper");
    rmSync(shared, { recursive: true });
  },
);

test("an image is mounted, read-only, with a part of it too", async () => {
  await makeImage(daemon(), "tools", [
    { name: "opt/tool/run", content: "tool" },
    { name: "escape", type: "symlink", link: "../../../../../etc" },
  ]);
  const body = (Subpath?: string): unknown => ({
    Image: "busybox",
    Cmd: ["cat", Subpath === undefined ? "/tools/opt/tool/run" : "/tools/run"],
    HostConfig: {
      Mounts: [{ Type: "image", Source: "tools", Target: "/tools", ...(Subpath === undefined ? {} : { ImageOptions: { Subpath } }) }],
    },
  });
  for (const subpath of [undefined, "opt/tool"]) {
    const created = await daemon().api("POST", "/containers/create?name=viewer", body(subpath));
    expect([created.status, created.text]).toEqual([201, expect.any(String)]);
    expect(await docker("start", "-a", "viewer")).toBe("tool");
    expect(await docker("start", "-a", "viewer")).toBe("tool");
    await docker("rm", "viewer");
  }
  const { Id } = (await daemon().api("POST", "/containers/create", { ...(body() as object), Cmd: ["touch", "/tools/x"] })).json() as {
    Id: string;
  };
  expect((await daemon().docker("start", "-a", Id)).stderr).toContain("Read-only");
  expect((await daemon().docker("rmi", "tools")).stderr).toMatch(/conflict/);
  await docker("rm", Id);
  await docker("rmi", "tools");
});

test("outer mounts come before inner ones, whatever the order of the flags", async () => {
  const host = path.join(daemon().roots.exec, "nested");
  mkdirSync(`${host}/outer/inner`, { recursive: true });
  writeFileSync(`${host}/outer/file`, "outer");
  const seen = await run(
    "-v",
    "inner:/outer/inner/volume",
    "--tmpfs",
    "/outer/inner",
    "-v",
    `${host}/outer:/outer`,
    "busybox",
    "sh",
    "-c",
    "cat /outer/file; echo; mount | grep ' /outer' | cut -d' ' -f3",
  );
  expect(seen.split("\n")).toEqual(["outer", "/outer", "/outer/inner", "/outer/inner/volume"]);
});

test("read-only binds are read-only all the way down, unless asked otherwise", async () => {
  const host = path.join(daemon().roots.exec, "tree");
  mkdirSync(`${host}/below`, { recursive: true });
  await daemon().run(["mount", "-t", "tmpfs", "below", `${host}/below`]);
  try {
    const touch = (options: string): Promise<{ code: number }> =>
      daemon().docker("run", "--rm", "--mount", `type=bind,src=${host},dst=/tree,readonly${options}`, "busybox", "touch", "/tree/below/x");
    expect((await touch("")).code).toBe(1);
    expect((await touch(",bind-recursive=readonly,bind-propagation=rprivate")).code).toBe(1);
    expect((await touch(",bind-recursive=writable")).code).toBe(0);
    await daemon().run(["rm", `${host}/below/x`]);
    // Without what is mounted below, the folder itself is seen.
    expect((await touch(",bind-recursive=disabled")).code).toBe(1);
    expect(readdirSync(`${host}/below`)).toEqual([]);
  } finally {
    await daemon().run(["umount", `${host}/below`]);
  }
});

test("a bind that is shared tells the host of mounts made inside, a slave hears of the host's", async () => {
  const host = path.join(daemon().roots.exec, "propagated");
  mkdirSync(`${host}/late`, { recursive: true });
  await daemon().run(["mount", "--bind", host, host]);
  await daemon().run(["mount", "--make-shared", host]);
  try {
    await docker("run", "-d", "--name", "slave", "-v", `${host}:/seen:rslave`, "busybox", "sleep", "1000");
    await docker("run", "-d", "--name", "private", "-v", `${host}:/seen`, "busybox", "sleep", "1000");
    await daemon().run(["mount", "-t", "tmpfs", "late", `${host}/late`]);
    writeFileSync(`${host}/late/file`, "late");
    expect(await docker("exec", "slave", "ls", "/seen/late")).toBe("file");
    expect(await docker("exec", "private", "ls", "/seen/late")).toBe("");
    await docker("rm", "-f", "slave", "private");
  } finally {
    await daemon().run(["umount", "-R", host]);
  }
});

test("--volumes-from several: the later wins at one place, an own mount over both", async () => {
  for (const name of ["one", "two"]) {
    await run("-v", `${name}:/data`, "busybox", "sh", "-c", `echo ${name} > /data/name`);
    await docker("create", "--name", `of-${name}`, "-v", `${name}:/data`, "busybox", "true");
  }
  expect(await run("--volumes-from", "of-one", "--volumes-from", "of-two:ro", "busybox", "cat", "/data/name")).toBe("two");
  expect(await run("--volumes-from", "of-two", "--volumes-from", "of-one", "busybox", "cat", "/data/name")).toBe("one");
  expect(await run("--volumes-from", "of-one", "-v", "two:/data", "busybox", "cat", "/data/name")).toBe("two");
  const { stderr } = await daemon().docker("run", "--rm", "--volumes-from", "of-one:ro", "busybox", "touch", "/data/x");
  expect(stderr).toContain("Read-only");
});

test("a volume's folder that somebody replaced by a symlink is not followed", async () => {
  await docker("volume", "create", "swapped");
  const secret = path.join(daemon().roots.exec, "elsewhere");
  mkdirSync(secret);
  writeFileSync(`${secret}/file`, "precious");
  rmSync(dataOf(daemon(), "swapped"), { recursive: true });
  symlinkSync(secret, dataOf(daemon(), "swapped"));
  await docker("volume", "rm", "swapped");
  expect(readFileSync(`${secret}/file`, "utf8")).toBe("precious");
});

test.each(["begun", "moved"])("a daemon that dies while it fills a folder of the host: %s", async (step) => {
  const host = path.join(daemon().roots.exec, `filled-${step}`);
  mkdirSync(host);
  await makeImage(daemon(), "content", [
    { name: "content/a/file", content: "a" },
    { name: "content/b", content: "b" },
  ]);
  await daemon().stop();
  await daemon().start({ failpoints: `volumes.fill.${step}=crash@1` });
  await docker("volume", "create", "-o", "type=none", "-o", "o=bind", "-o", `device=${host}`, "folder");
  await daemon().docker("create", "-v", "folder:/content", "content", "true");
  expect(await daemon().waitForEnd(10_000)).toBe(true);
  await daemon().start();
  expect(await run("-v", "folder:/content", "content", "sh", "-c", "cat /content/a/file /content/b")).toBe("ab");
  expect(readdirSync(host).toSorted()).toEqual(["a", "b"]);
  await docker("volume", "rm", "folder");
  expect(readdirSync(host).toSorted()).toEqual(["a", "b"]);
});

/** `cap_net_bind_service=ep`, as the kernel keeps it. */
const CAPABILITY = Buffer.from("0100000200040000000000000000000000000000", "hex");

import { chmodSync, chownSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

import { useDaemon } from "./harness.ts";

/** Data that outlives containers, as people use it with the stock CLI. */

const daemon = useDaemon();
const ok = (...args: string[]): Promise<string> => daemon().dockerOk(...args);
const refused = async (...args: string[]): Promise<string> => {
  const { code, stderr } = await daemon().docker(...args);
  expect(code).not.toBe(0);
  return stderr;
};
const sh = (options: string[], script: string): Promise<string> => ok("run", "--rm", ...options, "busybox", "sh", "-c", script);
const volumes = async (...options: string[]): Promise<string[]> =>
  (await ok("volume", "ls", "-q", ...options)).split("\n").filter((name) => name !== "");

let host: string;
beforeAll(() => {
  host = mkdtempSync("/tmp/tsubo-volumes-");
});
afterAll(() => rmSync(host, { recursive: true, force: true }));

/** An image that has something at /data, of an owner and mode of its own, and says that this is a volume. */
async function packedImage(): Promise<void> {
  const context = path.join(host, "packed");
  mkdirSync(path.join(context, "content/sub"), { recursive: true });
  writeFileSync(path.join(context, "content/page"), "packed\n");
  writeFileSync(path.join(context, "content/sub/tool"), "#!/bin/sh\n");
  chmodSync(path.join(context, "content/sub/tool"), 0o4751);
  writeFileSync(
    path.join(context, "Dockerfile"),
    "FROM busybox\nADD --chown=1000:1001 content /data/\nRUN ln -s page /data/link && ln /data/page /data/twin && chmod 1777 /data\nVOLUME /data\n",
  );
  await ok("build", "-q", "-t", "packed", context);
}

describe("binds", () => {
  test("are live on both sides, and read-only when asked to be", async () => {
    const folder = path.join(host, "live");
    mkdirSync(folder);
    writeFileSync(path.join(folder, "page"), "one");
    await ok("run", "-d", "--name", "web", "-v", `${folder}:/srv`, "-v", `${folder}:/ro:ro`, "busybox", "sleep", "1000");
    expect(await ok("exec", "web", "cat", "/srv/page", "/ro/page")).toBe("oneone");
    writeFileSync(path.join(folder, "page"), "two");
    expect(await ok("exec", "web", "cat", "/ro/page")).toBe("two");
    await ok("exec", "web", "sh", "-c", "echo three > /srv/page");
    expect(readFileSync(path.join(folder, "page"), "utf8")).toBe("three\n");
    expect(await refused("exec", "web", "touch", "/ro/page")).toContain("Read-only file system");
    await ok("rm", "-fv", "web");
    expect(readFileSync(path.join(folder, "page"), "utf8")).toBe("three\n");
  });

  test("of a single file", async () => {
    const file = path.join(host, "single");
    writeFileSync(file, "alone");
    expect(await sh(["-v", `${file}:/etc/motd:ro`], "cat /etc/motd")).toBe("alone");
  });

  test("one folder for three containers", async () => {
    const folder = path.join(host, "shared");
    mkdirSync(folder);
    writeFileSync(path.join(folder, "index.html"), "for all\n");
    for (const name of ["web1", "web2", "web3"])
      await ok("run", "-d", "--name", name, "-v", `${folder}:/www:ro`, "busybox", "httpd", "-f", "-p", "80", "-h", "/www");
    for (const name of ["web1", "web2", "web3"])
      await expect
        .poll(() =>
          daemon()
            .docker("exec", name, "sh", "-c", "printf 'GET /index.html HTTP/1.0\\r\\n\\r\\n' | nc 127.0.0.1 80")
            .then(({ stdout }) => stdout),
        )
        .toContain("for all");
  });

  test("a missing source is made by -v and refused by --mount", async () => {
    const folder = path.join(host, "missing/deep");
    expect(await refused("run", "--rm", "--mount", `type=bind,source=${folder},target=/x`, "busybox", "true")).toContain(
      `bind source path does not exist: ${folder}`,
    );
    await sh(["-v", `${folder}:/x`], "touch /x/made");
    expect(readFileSync(path.join(folder, "made"), "utf8")).toBe("");
  });
});

describe("volumes", () => {
  test("keep data from one container to the next, and over the daemon's death", async () => {
    await ok("volume", "create", "--label", "tier=db", "kept");
    await sh(["-v", "kept:/data"], "echo hello > /data/page");
    await daemon().kill();
    await daemon().start();
    expect(await sh(["-v", "kept:/data:ro"], "cat /data/page; touch /data/x 2>&1 || true")).toContain(
      "hello\ntouch: /data/x: Read-only file system",
    );
    const [inspected] = JSON.parse(await ok("volume", "inspect", "kept")) as Record<string, unknown>[];
    expect(inspected).toEqual({
      CreatedAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/),
      Driver: "local",
      Labels: { tier: "db" },
      Mountpoint: path.join(daemon().roots.data, "volumes/kept/_data"),
      Name: "kept",
      Options: null,
      Scope: "local",
    });
  });

  test("have the image's content at their place, once, as it is there", async () => {
    await packedImage();
    const list = "cd /data && stat -c '%n %a %u %g %h %F' . page link twin sub sub/tool";
    const inImage = await sh(["--entrypoint", "", "--tmpfs", "/elsewhere"], "true");
    expect(inImage).toBe("");
    const listed = await ok("run", "--rm", "-v", "named:/data", "packed", "sh", "-c", list);
    expect(listed.split("\n")).toEqual([
      ". 1777 1000 1001 3 directory",
      "page 644 1000 1001 2 regular file",
      "link 777 0 0 1 symbolic link",
      "twin 644 1000 1001 2 regular file",
      "sub 755 1000 1001 2 directory",
      "sub/tool 4751 1000 1001 1 regular file",
    ]);
    await ok("run", "--rm", "-v", "named:/data", "packed", "sh", "-c", "rm -r /data/sub; echo mine > /data/page");
    expect(await ok("run", "--rm", "-v", "named:/data", "packed", "sh", "-c", "ls /data; cat /data/page")).toBe("link\npage\ntwin\nmine");
    expect(await ok("run", "--rm", "-v", "bare:/data:nocopy", "packed", "ls", "-A", "/data")).toBe("");
  });

  test("an image's symlink at their place leads no further than the image", async () => {
    const context = path.join(host, "hostile");
    mkdirSync(context);
    writeFileSync(path.join(context, "Dockerfile"), "FROM busybox\nRUN ln -s /etc /out && ln -s ../../../../../../etc /up\n");
    await ok("build", "-q", "-t", "hostile", context);
    for (const place of ["/out", "/up"]) {
      await ok("run", "--rm", "-v", `from${place.slice(1)}:${place}`, "hostile", "true");
      const seen = (await sh(["-v", `from${place.slice(1)}:/seen`], "ls /seen")).split("\n");
      expect(seen).toEqual(expect.arrayContaining(["group", "passwd"]));
      expect(seen).not.toContain("debian_version");
    }
  });

  test("anonymous ones go with their container, named ones do not", async () => {
    await packedImage();
    await ok("run", "-d", "--name", "one", "-v", "named:/n", "-v", "/anonymous", "packed", "sleep", "1000");
    expect(await volumes()).toHaveLength(3);
    await ok("rm", "-fv", "one");
    expect(await volumes()).toEqual(["named"]);
    await ok("run", "--rm", "-v", "/anonymous", "packed", "true");
    expect(await volumes()).toEqual(["named"]);
    await ok("run", "-d", "--name", "two", "packed", "true");
    await ok("rm", "-f", "two");
    expect(await volumes()).toHaveLength(2);
    await ok("volume", "prune", "-f");
    expect(await volumes()).toEqual(["named"]);
    await ok("volume", "prune", "-af");
    expect(await volumes()).toEqual([]);
  });

  test("in use are not removed, and whose they are is told", async () => {
    const id = await ok("create", "--name", "user", "-v", "used:/x", "busybox", "true");
    expect(await refused("volume", "rm", "used")).toContain(`remove used: volume is in use - [${id}]`);
    expect(await volumes("--filter", "dangling=true")).toEqual([]);
    await ok("rm", "user");
    expect(await volumes("--filter", "dangling=true")).toEqual(["used"]);
    await ok("volume", "create", "other");
    const all = await volumes();
    expect(await ok("volume", "rm", ...all)).toBe(all.join("\n"));
    expect(await refused("volume", "rm", "used")).toContain("get used: no such volume");
    await ok("volume", "rm", "-f", "used");
  });

  test("with options of mount(8): there while a container runs, over the daemon's death", async () => {
    await ok("volume", "create", "--opt", "type=tmpfs", "--opt", "device=tmpfs", "--opt", "o=size=1m,uid=7", "fast");
    const target = path.join(daemon().roots.data, "volumes/fast/_data");
    const isMounted = (): boolean => readFileSync("/proc/self/mountinfo", "utf8").includes(` ${target} `);
    await ok("run", "-d", "--name", "one", "-v", "fast:/fast", "busybox", "sleep", "1000");
    await ok("run", "-d", "--name", "two", "-v", "fast:/fast", "busybox", "sleep", "1000");
    await ok("exec", "one", "touch", "/fast/seen");
    expect(await ok("exec", "two", "stat", "-c", "%u", "/fast", "/fast/seen")).toBe("7\n0");
    await ok("stop", "-t", "0", "one");
    expect(isMounted()).toBe(true);
    await daemon().kill();
    await daemon().start();
    expect(await ok("exec", "two", "ls", "/fast")).toBe("seen");
    await ok("stop", "-t", "0", "two");
    expect(isMounted()).toBe(false);
    await ok("start", "one");
    expect(await ok("exec", "one", "ls", "/fast")).toBe("");
  });

  test("of a folder of the host: removing the volume leaves the folder", async () => {
    const folder = path.join(host, "theirs");
    mkdirSync(folder);
    writeFileSync(path.join(folder, "page"), "theirs");
    await ok("volume", "create", "--opt", "type=none", "--opt", `device=${folder}`, "--opt", "o=bind", "view");
    expect(await sh(["-v", "view:/v"], "cat /v/page")).toBe("theirs");
    await ok("volume", "rm", "view");
    expect(readFileSync(path.join(folder, "page"), "utf8")).toBe("theirs");
  });

  test("a part of one", async () => {
    await sh(["-v", "whole:/w"], "mkdir -p /w/a/b; echo part > /w/a/b/page; ln -s /etc /w/out; ln -s ../../../../etc /w/up");
    const part = (subpath: string): string[] => ["--mount", `type=volume,source=whole,target=/p,volume-subpath=${subpath}`];
    expect(await sh(part("a/b"), "cat /p/page")).toBe("part");
    expect(await refused("run", "--rm", ...part("out"), "busybox", "ls", "/p")).toContain("out");
    expect(await refused("run", "--rm", ...part("up"), "busybox", "ls", "/p")).toContain("up");
    expect(await refused("run", "--rm", ...part("none"), "busybox", "true")).toContain("none");
    expect(await refused("run", "--rm", ...part("../x"), "busybox", "true")).toContain("subpath must be a relative path within the volume");
  });

  test("an image is one, too, read-only", async () => {
    await packedImage();
    const options = ["--mount", "type=image,source=packed,target=/i"];
    expect(await sh(options, "cat /i/data/page; touch /i/x 2>&1 || true")).toBe("packed\ntouch: /i/x: Read-only file system");
    expect(await sh(["--mount", "type=image,source=packed,target=/i,image-subpath=data/sub"], "ls /i")).toBe("tool");
  });
});

describe("containers give theirs to others", () => {
  test("a data container that never ran", async () => {
    await packedImage();
    const folder = path.join(host, "of-vc");
    mkdirSync(folder);
    writeFileSync(path.join(folder, "page"), "bound");
    await ok("create", "--name", "vc_data", "-v", `${folder}:/bound`, "packed", "true");
    expect(await sh(["--volumes-from", "vc_data:ro"], "cat /data/page /bound/page; touch /data/x 2>&1 || true")).toContain(
      "packed\nboundtouch: /data/x: Read-only",
    );
    expect(await sh(["--volumes-from", "vc_data"], "echo more >> /data/page; cat /data/page")).toBe("packed\nmore");
    expect(await refused("run", "--rm", "--volumes-from", "nobody", "busybox", "true")).toContain("No such container: nobody");
  });

  test("backup, restore into another, migrate", async () => {
    await packedImage();
    await ok("create", "--name", "old", "packed", "true");
    const folder = path.join(host, "backup");
    mkdirSync(folder);
    await sh(["--volumes-from", "old", "-v", `${folder}:/backup`], "tar cf /backup/data.tar -C /data .");
    await ok("create", "--name", "new", "-v", "/data", "busybox", "true");
    await sh(["--volumes-from", "new", "-v", `${folder}:/backup`], "tar xf /backup/data.tar -C /data");
    await ok("rm", "-v", "old");
    expect(await sh(["--volumes-from", "new"], "cat /data/page; stat -c '%a %u %g' /data/sub/tool")).toBe("packed\n4751 1000 1001");
  });
});

describe("refused", () => {
  test.each<[string[], string]>([
    [["-v", "vol:relative"], "invalid mount path: 'relative' mount path must be absolute"],
    [["-v", "vol:/"], "invalid specification: destination can't be '/'"],
    [["-v", "vol:/x/../.."], "destination can't be '/'"],
    [["-v", "a/b:/x"], 'includes invalid characters for a local volume name, only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed'],
    [["-v", "one:/x", "-v", "two:/x/"], "Duplicate mount point: /x"],
    [["-v", "vol:/x:often"], "invalid mode: often"],
    [
      ["--mount", "type=volume,source=vol,target=/x,volume-driver=nosuch"],
      'error looking up volume plugin nosuch: plugin "nosuch" not found',
    ],
    [["-v", "vol:/bin/busybox"], "cannot mount volume over existing file, file exists /bin/busybox"],
    [["--mount", "type=image,source=nosuch,target=/x"], "No such image: nosuch"],
  ])("%j", async (options, why) => {
    expect(await refused("create", ...options, "busybox", "true")).toContain(why);
    expect((await volumes()).filter((name) => name !== "vol")).toEqual([]);
  });

  test.each<[string[], string]>([
    [["a b"], "includes invalid characters for a local volume name"],
    [["x"], "volume name is too short"],
    [["--driver", "nosuch", "vv"], 'plugin "nosuch" not found'],
    [["--opt", "bogus=1", "vv"], 'create vv: invalid option: "bogus"'],
    [["--opt", "type=tmpfs", "vv"], 'create vv: missing required option: "device"'],
  ])("volume create %j", async (args, why) => {
    expect(await refused("volume", "create", ...args)).toContain(why);
    expect(await volumes()).toEqual([]);
  });
});

test("df counts what is in them, events tell of them", async () => {
  const since = Date.now() / 1000;
  await sh(["-v", "counted:/c"], "dd if=/dev/zero of=/c/data bs=1k count=100 2>/dev/null");
  expect(await ok("system", "df", "-v", "--format", "{{json .Volumes}}")).toContain('"Size":"102.4kB"');
  await ok("volume", "rm", "counted");
  expect(await daemon().eventsSince(since, ["type=volume", "volume=counted"], "{{.Action}}")).toEqual([
    "create",
    "mount",
    "unmount",
    "destroy",
  ]);
});

test("owners of the host's files are the container's", async () => {
  const folder = path.join(host, "owned");
  mkdirSync(folder);
  chownSync(folder, 1234, 5678);
  expect(await sh(["-v", `${folder}:/x`], "stat -c '%u %g' /x")).toBe("1234 5678");
});

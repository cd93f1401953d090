import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";

import { useDaemon } from "./harness.ts";
import { dataOf, foldersOf, makeImage, namesOf } from "./volumes/volumes.ts";

/** Volumes by the stock CLI: made, listed, inspected, removed; whose they are, and when they go. */

const daemon = useDaemon();
const docker = (...args: string[]): Promise<string> => daemon().dockerOk(...args);
const run = (...args: string[]): Promise<string> => daemon().dockerOk("run", "--rm", ...args);

async function refused(...args: string[]): Promise<string> {
  const { code, stderr } = await daemon().docker(...args);
  expect([args, code === 0]).toEqual([args, false]);
  return stderr;
}

test("create, inspect and rm", async () => {
  expect(await docker("volume", "create", "--label", "k=v", "one")).toBe("one");
  expect(await docker("volume", "create", "one")).toBe("one");
  expect(JSON.parse(await docker("volume", "inspect", "one"))).toEqual([
    {
      CreatedAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/),
      Driver: "local",
      Labels: { k: "v" },
      Mountpoint: dataOf(daemon(), "one"),
      Name: "one",
      Options: null,
      Scope: "local",
    },
  ]);
  expect(existsSync(dataOf(daemon(), "one"))).toBe(true);
  expect(await docker("volume", "rm", "one")).toBe("one");
  expect(foldersOf(daemon())).toEqual([]);
  expect(await refused("volume", "rm", "one")).toBe("Error response from daemon: get one: no such volume\n");
  expect(await docker("volume", "rm", "-f", "one")).toBe("one");
});

test("one without a name gets one, and is anonymous", async () => {
  const name = await docker("volume", "create");
  expect(name).toMatch(/^[0-9a-f]{64}$/);
  expect(await docker("volume", "inspect", "-f", "{{json .Labels}}", name)).toBe('{"com.docker.volume.anonymous":""}');
});

test("data outlives its container and is seen by the next", async () => {
  await run("-v", "kept:/data", "busybox", "sh", "-c", "echo first > /data/file");
  expect(await run("-v", "kept:/other:ro", "busybox", "cat", "/other/file")).toBe("first");
  expect((await daemon().docker("run", "--rm", "-v", "kept:/other:ro", "busybox", "touch", "/other/x")).stderr).toContain("Read-only");
  expect(readFileSync(path.join(dataOf(daemon(), "kept"), "file"), "utf8")).toBe("first\n");
});

test("a volume in use is not removed, and its users are named", async () => {
  const stopped = await docker("create", "-v", "used:/data", "busybox", "true");
  const running = await docker("run", "-d", "-v", "used:/data", "busybox", "sleep", "1000");
  for (const force of [[], ["-f"]]) {
    const why = await refused("volume", "rm", ...force, "used");
    expect(why).toMatch(/^Error response from daemon: remove used: volume is in use - \[[0-9a-f]{64}, [0-9a-f]{64}\]\n$/);
    expect(why).toContain(stopped);
    expect(why).toContain(running);
  }
  expect(await namesOf(daemon())).toEqual(["used"]);
});

test("filters of ls", async () => {
  await docker("volume", "create", "--label", "tier=web", "--label", "x", "alpha");
  await docker("volume", "create", "--label", "tier=db", "beta");
  await docker("create", "-v", "alpha:/a", "busybox", "true");
  const listed = (...filters: string[]): Promise<string[]> => namesOf(daemon(), ...filters.flatMap((filter) => ["-f", filter]));
  expect(await listed()).toEqual(["alpha", "beta"]);
  expect(await listed("dangling=true")).toEqual(["beta"]);
  expect(await listed("dangling=0")).toEqual(["alpha"]);
  expect(await listed("name=alp")).toEqual(["alpha"]);
  expect(await listed("name=alp", "name=^bet")).toEqual(["alpha", "beta"]);
  expect(await listed("driver=local")).toEqual(["alpha", "beta"]);
  expect(await listed("driver=other")).toEqual([]);
  expect(await listed("label=tier")).toEqual(["alpha", "beta"]);
  expect(await listed("label=tier=web", "label=x")).toEqual(["alpha"]);
  expect(await refused("volume", "ls", "-f", "nosuch=1")).toContain("invalid filter 'nosuch'");
  expect(await refused("volume", "ls", "-f", "dangling=maybe")).toContain("invalid filter 'dangling=[maybe]'");
});

test("rm -v and --rm take anonymous volumes along, and no others", async () => {
  await makeImage(daemon(), "declares", [{ name: "declared/file", content: "x" }], "VOLUME /declared");
  await docker("create", "--name", "box", "-v", "/anonymous", "-v", "named:/named", "declares", "true");
  expect(await namesOf(daemon())).toHaveLength(3);
  await docker("create", "--name", "sharing", "--volumes-from", "box", "busybox", "true");
  await docker("rm", "-v", "box");
  expect(await namesOf(daemon())).toHaveLength(3);
  await docker("rm", "-v", "sharing");
  expect(await namesOf(daemon())).toEqual(["named"]);
  await run("-v", "/anonymous", "-v", "named:/named", "declares", "true");
  expect(await namesOf(daemon())).toEqual(["named"]);
  await docker("create", "--name", "without", "-v", "/anonymous", "busybox", "true");
  await docker("rm", "without");
  expect(await namesOf(daemon())).toHaveLength(2);
});

test("a create that fails leaves no anonymous volume", async () => {
  await docker("create", "--name", "taken", "busybox", "true");
  await refused("create", "--name", "taken", "-v", "/anonymous", "busybox", "true");
  await refused("create", "-v", "/anonymous", "-v", "/etc/passwd", "busybox", "true");
  await refused("create", "-v", "/anonymous", "--volume-driver", "nosuch", "busybox", "true");
  expect(await namesOf(daemon())).toEqual([]);
});

test("prune takes anonymous ones only, with --all every one that is not used; before 1.42 all", async () => {
  const make = async (): Promise<string> => {
    await docker("volume", "create", "--label", "keep", "named");
    await docker("create", "-v", "used:/data", "busybox", "true");
    const name = await docker("volume", "create");
    writeFileSync(path.join(dataOf(daemon(), name), "five"), "12345");
    return name;
  };
  const anonymous = await make();
  const pruned = await daemon().api("POST", "/v1.42/volumes/prune");
  expect(pruned.json()).toEqual({ VolumesDeleted: [anonymous], SpaceReclaimed: 5 });
  expect((await daemon().api("POST", "/v1.42/volumes/prune")).json()).toEqual({ VolumesDeleted: [], SpaceReclaimed: 0 });
  expect(await docker("volume", "prune", "-f", "-a", "--filter", "label!=keep")).toBe("Total reclaimed space: 0B");
  expect(await docker("volume", "prune", "-f", "-a")).toContain("named");
  const again = await make();
  const old = (await daemon().api("POST", "/v1.41/volumes/prune")).json() as { VolumesDeleted: string[] };
  expect(old.VolumesDeleted.toSorted()).toEqual([again, "named"].toSorted());
  expect(await namesOf(daemon())).toEqual(["used"]);
  expect((await daemon().api("POST", `/volumes/prune?filters=${encodeURIComponent('{"all":["perhaps"]}')}`)).status).toBe(400);
  expect((await daemon().api("POST", `/volumes/prune?filters=${encodeURIComponent('{"nosuch":["1"]}')}`)).status).toBe(400);
});

test("system df tells sizes and users", async () => {
  await run("-v", "sized:/data", "busybox", "dd", "if=/dev/zero", "of=/data/zeros", "bs=1000", "count=7");
  await docker("create", "-v", "sized:/data", "busybox", "true");
  const { Volumes } = (await daemon().api("GET", "/system/df?type=volume")).json() as { Volumes: { Name: string; UsageData: unknown }[] };
  expect(Volumes.map(({ Name, UsageData }) => [Name, UsageData])).toEqual([["sized", { Size: 7000, RefCount: 1 }]]);
});

test("events tell what happens to a volume", async () => {
  const since = Date.now() / 1000;
  await docker("volume", "create", "told");
  const id = await docker("run", "-d", "-v", "told:/data:ro", "busybox", "true");
  await docker("wait", id);
  await docker("rm", id);
  await docker("volume", "rm", "told");
  const events = (await daemon().eventsSince(since, ["type=volume"], "{{json .}}")).map((line) => {
    // The shape is the Engine API's.
    const { Action, Actor } = JSON.parse(line) as { Action: string; Actor: { ID: string; Attributes: Record<string, string> } };
    return [Action, Actor.ID, Actor.Attributes];
  });
  expect(events).toEqual([
    ["create", "told", { driver: "local" }],
    ["mount", "told", { container: id, destination: "/data", driver: "local", propagation: "", "read/write": "false" }],
    ["unmount", "told", { container: id, driver: "local" }],
    ["destroy", "told", { driver: "local" }],
  ]);
});

test("inspect shows every mount as Docker does", async () => {
  const host = path.join(daemon().roots.exec, "shown");
  await docker(
    "create",
    "--name",
    "shown",
    "-v",
    "vol:/vol",
    "-v",
    "/anonymous",
    "-v",
    "flagged:/flagged:ro,nocopy",
    "-v",
    `${host}:/host:ro,rslave`,
    "-v",
    `${host}:/labelled:z`,
    "--mount",
    "type=tmpfs,dst=/memory",
    "--tmpfs",
    "/other",
    "--mount",
    "type=volume,src=vol,dst=/second,readonly",
    "busybox",
    "true",
  );
  await docker("create", "--name", "inherits", "--volumes-from", "shown:ro", "busybox", "true");
  const mountsOf = async (name: string): Promise<Record<string, unknown>[]> => {
    const mounts = JSON.parse(await docker("inspect", "-f", "{{json .Mounts}}", name)) as { Destination: string }[];
    return mounts.toSorted((a, b) => (a.Destination < b.Destination ? -1 : 1));
  };
  const anonymousData: unknown = expect.stringContaining("/_data");
  const volume = (Name: unknown, Destination: string, Mode: string, RW: boolean): object => {
    const Source = typeof Name === "string" ? dataOf(daemon(), Name) : anonymousData;
    return { Type: "volume", Name, Source, Destination, Driver: "local", Mode, RW, Propagation: "" };
  };
  const anonymous = expect.stringMatching(/^[0-9a-f]{64}$/);
  expect(await mountsOf("shown")).toEqual([
    volume(anonymous, "/anonymous", "", true),
    volume("flagged", "/flagged", "ro,nocopy", false),
    { Type: "bind", Source: host, Destination: "/host", Mode: "ro,rslave", RW: false, Propagation: "rslave" },
    { Type: "bind", Source: host, Destination: "/labelled", Mode: "z", RW: true, Propagation: "rprivate" },
    { Type: "tmpfs", Source: "", Destination: "/memory", Mode: "", RW: true, Propagation: "" },
    volume("vol", "/second", "z", false),
    volume("vol", "/vol", "z", true),
  ]);
  expect((await mountsOf("inherits")).filter(({ Type }) => Type === "volume")).toEqual([
    volume(anonymous, "/anonymous", "", false),
    volume("flagged", "/flagged", "", false),
    volume("vol", "/second", "", false),
    volume("vol", "/vol", "", false),
  ]);
});

test("what the user mounts wins over what the image declares", async () => {
  await makeImage(daemon(), "declares", [{ name: "declared/file", content: "image" }], "VOLUME /declared /also");
  const host = path.join(daemon().roots.exec, "wins");
  await docker("create", "--name", "box", "-v", `${host}:/declared/`, "-v", "mine:/also", "declares", "true");
  const types = await docker("inspect", "-f", "{{range .Mounts}}{{.Type}} {{.Destination}},{{end}}", "box");
  expect(types.split(",").filter(Boolean).toSorted()).toEqual(["bind /declared", "volume /also"]);
});

test("containers keep their volumes over restarts of theirs and of the daemon", async () => {
  const script = "echo x >> /data/log; echo x >> /anonymous/log; cat /data/log /anonymous/log | wc -l; sleep 1000";
  await docker("run", "-d", "--name", "box", "-v", "kept:/data", "-v", "/anonymous", "busybox", "sh", "-c", script);
  const lines = (): Promise<string> => docker("exec", "box", "sh", "-c", "cat /data/log /anonymous/log | wc -l");
  await expect.poll(lines).toBe("2");
  await docker("restart", "-t", "0", "box");
  await expect.poll(lines).toBe("4");
  await daemon().kill();
  await daemon().start();
  expect(await lines()).toBe("4");
  expect(await refused("volume", "rm", "kept")).toContain("volume is in use");
  const pruned = (await daemon().api("POST", "/v1.41/volumes/prune")).json();
  expect(pruned).toEqual({ VolumesDeleted: [], SpaceReclaimed: 0 });
  await docker("restart", "-t", "0", "box");
  await expect.poll(lines).toBe("6");
});

test("a tmpfs volume is there while somebody uses it, over a restart of the daemon too, and new for the next", async () => {
  await docker("volume", "create", "-o", "type=tmpfs", "-o", "device=tmpfs", "-o", "o=size=2m,mode=1770", "memory");
  const mounted = (): number =>
    readFileSync("/proc/self/mounts", "utf8")
      .split("\n")
      .filter((line) => line.includes(` ${dataOf(daemon(), "memory")} tmpfs `)).length;
  await docker("run", "-d", "--name", "first", "-v", "memory:/data", "busybox", "sleep", "1000");
  await docker("run", "-d", "--name", "second", "-v", "memory:/data", "busybox", "sleep", "1000");
  expect(mounted()).toBe(1);
  await docker("exec", "first", "sh", "-c", "echo shared > /data/file");
  expect(await docker("exec", "second", "stat", "-c", "%a", "/data")).toBe("1770");
  await docker("rm", "-f", "first");
  await daemon().kill();
  await daemon().start();
  expect(mounted()).toBe(1);
  expect(await docker("exec", "second", "cat", "/data/file")).toBe("shared");
  expect(await run("-v", "memory:/data", "busybox", "cat", "/data/file")).toBe("shared");
  expect(mounted()).toBe(1);
  await docker("rm", "-f", "second");
  expect(mounted()).toBe(0);
  expect(await run("-v", "memory:/data", "busybox", "ls", "/data")).toBe("");
});

test("a volume that is a folder of the host: its content comes and stays", async () => {
  const host = path.join(daemon().roots.exec, "device");
  await daemon().run(["mkdir", "-p", `${host}/sub`]);
  writeFileSync(`${host}/file`, "host");
  await docker("volume", "create", "-o", "type=none", "-o", "o=bind,ro", "-o", `device=${host}`, "folder");
  expect(await run("-v", "folder:/data", "busybox", "cat", "/data/file")).toBe("host");
  expect((await daemon().docker("run", "--rm", "-v", "folder:/data", "busybox", "touch", "/data/x")).stderr).toContain("Read-only");
  await docker("volume", "rm", "folder");
  expect(readdirSync(host).toSorted()).toEqual(["file", "sub"]);

  // Copy-up crosses file systems here.
  await makeImage(daemon(), "content", [{ name: "content/deep/file", content: "image" }]);
  rmSync(`${host}/file`);
  rmSync(`${host}/sub`, { recursive: true });
  await docker("volume", "create", "-o", "type=none", "-o", "o=bind", "-o", `device=${host}`, "folder");
  expect(await run("-v", "folder:/content", "content", "cat", "/content/deep/file")).toBe("image");
  expect(readdirSync(host)).toEqual(["deep"]);
  await docker("volume", "rm", "folder");
  expect(readdirSync(host)).toEqual(["deep"]);
});

test("a mount somebody made inside a volume is never emptied", async () => {
  await docker("volume", "create", "inner");
  const [host, place] = [path.join(daemon().roots.exec, "precious"), path.join(dataOf(daemon(), "inner"), "place")];
  await daemon().run(["mkdir", "-p", host, place]);
  writeFileSync(`${host}/file`, "precious");
  await daemon().run(["mount", "--bind", host, place]);
  try {
    expect(await refused("volume", "rm", "inner")).toMatch(/device or resource busy|is mounted/);
    expect(readFileSync(`${host}/file`, "utf8")).toBe("precious");
    expect(await namesOf(daemon())).toEqual(["inner"]);
  } finally {
    await daemon().run(["umount", place]);
  }
  await docker("volume", "rm", "inner");
});

test("twenty containers at once make one volume, and one fills it", async () => {
  await makeImage(daemon(), "content", [{ name: "content/file", content: "image\n" }]);
  const ran = await Promise.all(
    Array.from({ length: 20 }, (_, number) =>
      daemon().docker("run", "--rm", "-v", "crowd:/content", "content", "sh", "-c", `cat /content/file; touch /content/by-${number}`),
    ),
  );
  expect(new Set(ran.map(({ code, stdout }) => `${code} ${stdout}`))).toEqual(new Set(["0 image\n"]));
  expect(readdirSync(dataOf(daemon(), "crowd"))).toHaveLength(21);
});

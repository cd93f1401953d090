import { existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";

import { useDaemon } from "./harness.ts";
import { dataOf, foldersOf, namesOf } from "./volumes/volumes.ts";

/** What cannot be done is refused with Docker's statuses and words, and leaves nothing. */

const daemon = useDaemon();

const volumeNames = 'only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. If you intended to pass a host directory, use absolute path';
const badSpec = (spec: string, type: string, why: string): string =>
  `invalid volume specification: '${spec}': invalid mount config for type "${type}": ${why}`;
const badMount = (type: string, why: string): string => `invalid mount config for type "${type}": ${why}`;
const ROOT = "invalid specification: destination can't be '/'";

const BINDS: [bind: string, message: string][] = [
  ["a/b:/x", `create a/b: "a/b" includes invalid characters for a local volume name, ${volumeNames}`],
  ["../x:/x", `create ../x: "../x" includes invalid characters for a local volume name, ${volumeNames}`],
  [".hidden:/x", `create .hidden: ".hidden" includes invalid characters for a local volume name, ${volumeNames}`],
  ["v:/x", "create v: volume name is too short, names should be at least two alphanumeric characters"],
  ["vol:relative", badSpec("vol:relative", "volume", "invalid mount path: 'relative' mount path must be absolute")],
  ["vol:/", badSpec("vol:/", "volume", ROOT)],
  ["vol:/x/..", badSpec("vol:/x/..", "volume", ROOT)],
  ["/host:/", badSpec("/host:/", "bind", ROOT)],
  ["vol:/x:bogus", "invalid mode: bogus"],
  ["vol:/x:ro,rw", "invalid mode: ro,rw"],
  ["vol:/x:rshared", badSpec("vol:/x:rshared", "volume", "field BindOptions must not be specified")],
  ["a:b:c:d", "invalid volume specification: 'a:b:c:d'"],
  [":/x", "invalid volume specification: ':/x'"],
];

const MOUNTS: [mount: Record<string, unknown>, message: string][] = [
  [{ Type: "bind", Source: "/no/such/folder", Target: "/x" }, badMount("bind", "bind source path does not exist: /no/such/folder")],
  [{ Type: "bind", Source: "relative", Target: "/x" }, badMount("bind", "invalid mount path: 'relative' mount path must be absolute")],
  [{ Type: "bind", Target: "/x" }, badMount("bind", "field Source must not be empty")],
  [{ Type: "volume", Source: "vol", Target: "x" }, badMount("volume", "invalid mount path: 'x' mount path must be absolute")],
  [{ Type: "volume", Source: "vol", Target: "" }, badMount("volume", "field Target must not be empty")],
  [{ Type: "volume", Source: "vol", Target: "/" }, badMount("volume", ROOT)],
  [{ Type: "volume", Target: "/x", ReadOnly: true }, badMount("volume", "must not set ReadOnly mode when using anonymous volumes")],
  [{ Type: "tmpfs", Source: "vol", Target: "/x" }, badMount("tmpfs", "field Source must not be specified")],
  [{ Type: "bogus", Source: "vol", Target: "/x" }, badMount("bogus", "mount type unknown")],
];

async function createWith(hostConfig: Record<string, unknown>): Promise<[status: number, message: string]> {
  const { status, text } = await daemon().api("POST", "/containers/create", { Image: "busybox", Cmd: ["true"], HostConfig: hostConfig });
  return [status, (JSON.parse(text) as { message?: string }).message ?? text];
}

async function expectNothing(): Promise<void> {
  expect(await namesOf(daemon())).toEqual([]);
  expect(foldersOf(daemon())).toEqual([]);
  expect(await daemon().dockerOk("ps", "-aq")).toBe("");
}

test("binds", async () => {
  for (const [bind, message] of BINDS) expect([bind, await createWith({ Binds: [bind] })]).toEqual([bind, [400, message]]);
  await expectNothing();
});

test("mounts", async () => {
  for (const [mount, message] of MOUNTS) expect([mount, await createWith({ Mounts: [mount] })]).toEqual([mount, [400, message]]);
  await expectNothing();
});

test("two mounts at one place", async () => {
  const duplicate = [400, "Duplicate mount point: /x"];
  expect(await createWith({ Binds: ["one:/x", "two:/x"] })).toEqual(duplicate);
  expect(await createWith({ Binds: ["one:/x", "two:/x/"] })).toEqual(duplicate);
  expect(await createWith({ Binds: ["one:/x"], Tmpfs: { "/x": "" } })).toEqual(duplicate);
  expect(await createWith({ Binds: ["one:/x"], Mounts: [{ Type: "volume", Source: "two", Target: "/x" }] })).toEqual(duplicate);
  await expectNothing();
});

// A container's is 400 and not Docker's 404, which clients take for a missing image.
test("unknown drivers, at once", async () => {
  const unknown = 'error looking up volume plugin nosuch: plugin "nosuch" not found';
  expect(await createWith({ Binds: ["one:/x"], VolumeDriver: "nosuch" })).toEqual([400, `create one: ${unknown}`]);
  const mount = { Type: "volume", Source: "one", Target: "/x", VolumeOptions: { DriverConfig: { Name: "nosuch" } } };
  expect(await createWith({ Mounts: [mount] })).toEqual([400, `create one: ${unknown}`]);
  const made = await daemon().api("POST", "/volumes/create", { Name: "one", Driver: "nosuch" });
  expect([made.status, made.json()]).toEqual([404, { message: `create one: ${unknown}` }]);
  await expectNothing();
});

test("volumes of others that are not there", async () => {
  expect((await createWith({ VolumesFrom: ["nobody"] }))[1]).toBe("No such container: nobody");
  expect(await createWith({ VolumesFrom: ["nobody:bad"] })).toEqual([400, "invalid mode: bad"]);
  expect(await createWith({ VolumesFrom: [""] })).toEqual([400, "volumes-from specification cannot be an empty string"]);
});

test("names and options of volumes", async () => {
  const make = async (body: Record<string, unknown>): Promise<unknown[]> => {
    const { status, text } = await daemon().api("POST", "/volumes/create", body);
    return [status, (JSON.parse(text) as { message: string }).message];
  };
  for (const Name of ["a/b", "..", ".x", "-x", "a b", "../../etc"])
    expect(await make({ Name })).toEqual([400, expect.stringMatching(/^create .*includes invalid characters for a local volume name/s)]);
  expect(await make({ Name: "x" })).toEqual([400, expect.stringContaining("volume name is too short")]);
  const options = (DriverOpts: Record<string, string>): Promise<unknown[]> => make({ Name: "opt", DriverOpts });
  expect(await options({ foo: "bar" })).toEqual([400, 'create opt: invalid option: "foo"']);
  expect(await options({ type: "tmpfs" })).toEqual([400, 'create opt: missing required option: "device"']);
  expect(await options({ device: "/x" })).toEqual([400, 'create opt: missing required option: "type"']);
  expect((await options({ size: "1m" }))[0]).toBe(400);
  await expectNothing();
});

test("names that lead elsewhere find nothing, and remove nothing", async () => {
  const outside = path.join(daemon().roots.data, "outside");
  mkdirSync(path.join(outside, "_data"), { recursive: true });
  for (const name of ["..%2foutside", "..%2f..%2f..%2fetc", "%2e%2e", "nosuch"]) {
    for (const [method, query] of [
      ["DELETE", ""],
      ["GET", ""],
      ["DELETE", "?force=0"],
    ] as const) {
      const { status } = await daemon().api(method, `/volumes/${name}${query}`);
      expect([method, name, [301, 404].includes(status)]).toEqual([method, name, true]);
    }
  }
  expect(existsSync(path.join(outside, "_data"))).toBe(true);
});

test("what cannot be mounted says so at the start, and the container stays as it was", async () => {
  const docker = (...args: string[]): Promise<{ code: number; stderr: string }> => daemon().docker(...args);
  await daemon().dockerOk("volume", "create", "-o", "type=nosuchfs", "-o", "device=foo", "unknown");
  await daemon().dockerOk("volume", "create", "-o", "type=none", "-o", "o=bind", "-o", "device=/no/such/folder", "missing");
  const failed = async (volume: string, exitCode: number): Promise<string> => {
    const { code, stderr } = await docker("run", "--name", "box", "-v", `${volume}:/x:nocopy`, "busybox", "true");
    expect([code, await daemon().dockerOk("inspect", "-f", "{{.State.Status}}", "box")]).toEqual([exitCode, "created"]);
    await daemon().dockerOk("rm", "box");
    return stderr;
  };
  const mounting = (volume: string, device: string): string =>
    `error while mounting volume '${dataOf(daemon(), volume)}': failed to mount local volume: mount ${device}:${dataOf(daemon(), volume)}`;
  expect(await failed("unknown", 125)).toContain(`${mounting("unknown", "foo")}: no such device`);
  expect(await failed("missing", 127)).toContain(`${mounting("missing", "/no/such/folder")}, flags: 0x1000: no such file or directory`);
});

test("a file over a folder, a folder over a file", async () => {
  const host = path.join(daemon().roots.exec, "kinds");
  mkdirSync(`${host}/folder`, { recursive: true });
  writeFileSync(`${host}/file`, "");
  for (const [source, place] of [
    ["file", "/bin"],
    ["folder", "/etc/passwd"],
  ]) {
    const { code, stderr } = await daemon().docker("run", "--rm", "-v", `${host}/${source}:${place}`, "busybox", "true");
    expect([place, code, stderr]).toEqual([place, expect.any(Number), expect.stringMatching(/not a directory/i)]);
    expect(code).not.toBe(0);
  }
  expect(readdirSync(host).toSorted()).toEqual(["file", "folder"]);
  await expectNothing();
});

test("a bind that is to share mounts with a host that keeps them to itself", async () => {
  const host = path.join(daemon().roots.exec, "private");
  mkdirSync(host);
  await daemon().run(["mount", "-t", "tmpfs", "private", host]);
  await daemon().run(["mount", "--make-private", host]);
  try {
    for (const [propagation, needed] of Object.entries({ rshared: "a shared mount", slave: "a shared or slave mount" })) {
      const { code, stderr } = await daemon().docker("run", "--rm", "-v", `${host}:/x:${propagation}`, "busybox", "true");
      const why = `path ${host} is mounted on ${host} but it is not ${needed}`;
      expect([propagation, code, stderr]).toEqual([propagation, 125, expect.stringContaining(why)]);
    }
    expect(await daemon().dockerOk("ps", "-aq")).toBe("");
  } finally {
    await daemon().run(["umount", host]);
  }
});

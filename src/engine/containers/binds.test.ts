import { mkdtempSync, rmSync } from "node:fs";
import { stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, expect, test } from "vitest";

import { hostConfig } from "../../api/container-config.ts";
import { ensureBindSources } from "./bind-sources.ts";
import { parseBind, resolveMounts } from "./binds.ts";
import type { MountPoint } from "./container.ts";

const folder = mkdtempSync(path.join(tmpdir(), "tsubo-binds-"));
afterAll(() => rmSync(folder, { recursive: true }));

const other: MountPoint = {
  type: "bind",
  name: "",
  source: "/srv",
  destination: "/from",
  driver: "",
  mode: "",
  readOnly: false,
  propagation: "rprivate",
};

const resolve = async (asked: Record<string, unknown>): Promise<MountPoint[]> =>
  resolveMounts(hostConfig.decode(asked, ""), [], { dataRoot: "/var/lib/tsubo", mountsOf: () => [other] });

test("a bind's words", () => {
  expect(parseBind("/host/../data/:/in//side/:ro,Z,rshared")).toEqual({
    type: "bind",
    name: "",
    source: "/data",
    destination: "/in/side",
    driver: "",
    mode: "ro,Z,rshared",
    readOnly: true,
    propagation: "rshared",
  });
  expect(parseBind("vol:/x")).toMatchObject({ type: "volume", name: "vol", source: "", driver: "local", mode: "z", readOnly: false });
  expect(parseBind("/x")).toMatchObject({ type: "volume", name: "", destination: "/x" });
});

test.each([
  [":", "invalid volume specification: ':'"],
  ["", "invalid volume specification: ''"],
  ["foo:ro", "invalid volume specification: 'foo:ro'"],
  ["/a:/b:ro:x", "invalid volume specification: '/a:/b:ro:x'"],
  ["/a:/b:foo", "invalid mode: foo"],
  ["/a:/b:ro,rw", "invalid mode: ro,rw"],
  ["/a:/", `invalid volume specification: '/a:/': invalid mount config for type "bind": invalid specification: destination can't be '/'`],
  [
    "/a:/..",
    `invalid volume specification: '/a:/..': invalid mount config for type "bind": invalid specification: destination can't be '/'`,
  ],
  [
    "/a:b",
    `invalid volume specification: '/a:b': invalid mount config for type "bind": invalid mount path: 'b' mount path must be absolute`,
  ],
  [
    "vol:/x:rshared",
    `invalid volume specification: 'vol:/x:rshared': invalid mount config for type "volume": field BindOptions must not be specified`,
  ],
])("the bind %j is refused", (spec, message) => {
  expect(() => parseBind(spec)).toThrow(message);
});

test("nothing may be mounted below /proc that the runtime writes to", () => {
  for (const target of ["/proc/sys/kernel", "/proc/self/attr", "/x/../proc/1"])
    expect(() => parseBind(`/a:${target}`)).toThrow("inside /proc");
  expect(parseBind("/a:/proc/meminfo").destination).toBe("/proc/meminfo");
});

test.each([
  [{ Type: "bind", Source: "/nosuch-source", Target: "/a" }, `type "bind": bind source path does not exist: /nosuch-source`],
  [{ Type: "bind", Source: "", Target: "/a" }, `type "bind": field Source must not be empty`],
  [{ Type: "bind", Source: "rel", Target: "/a" }, `type "bind": invalid mount path: 'rel' mount path must be absolute`],
  [{ Type: "bind", Source: "/", Target: "" }, `type "bind": field Target must not be empty`],
  [{ Type: "bind", Source: "/", Target: "/a", BindOptions: { Propagation: "zz" } }, `type "bind": invalid propagation mode: zz`],
  [{ Type: "bind", Source: "/", Target: "/a", VolumeOptions: {} }, `type "bind": field VolumeOptions must not be specified`],
  [{ Type: "tmpfs", Source: "/tmp", Target: "/a" }, `type "tmpfs": field Source must not be specified`],
  [{ Type: "volume", Target: "/a", ReadOnly: true }, `type "volume": must not set ReadOnly mode when using anonymous volumes`],
  [{ Type: "volume", Source: "v1", Target: "/a", VolumeOptions: { Subpath: "../x" } }, "subpath must be a relative path within the volume"],
  [{ Type: "foo", Source: "/tmp", Target: "/a" }, `type "foo": mount type unknown`],
])("the mount %j is refused", async (mount, message) => {
  await expect(resolve({ Mounts: [mount] })).rejects.toThrow(message);
});

test("binds, mounts, tmpfs and those of other containers as one list", async () => {
  const mounts = await resolve({
    VolumesFrom: ["other:ro"],
    Binds: ["/tmp:/b"],
    Mounts: [
      { Type: "bind", Source: "/tmp", Target: "/m", ReadOnly: true, BindOptions: { Propagation: "private" } },
      { Type: "tmpfs", Target: "/t" },
    ],
  });
  expect(mounts.map(({ destination, type, readOnly }) => ({ destination, type, readOnly }))).toEqual([
    { destination: "/from", type: "bind", readOnly: true },
    { destination: "/b", type: "bind", readOnly: false },
    { destination: "/m", type: "bind", readOnly: true },
    { destination: "/t", type: "tmpfs", readOnly: false },
  ]);
  const [replaced] = await resolve({ VolumesFrom: ["other"], Binds: ["/tmp:/from"] });
  expect(replaced?.source).toBe("/tmp");
});

test("names of volumes", async () => {
  await expect(resolve({ Binds: ["a:/x"] })).rejects.toThrow(
    "create a: volume name is too short, names should be at least two alphanumeric",
  );
  await expect(resolve({ Binds: ["x y:/x"] })).rejects.toThrow('create x y: "x y" includes invalid characters for a local volume name');
});

test("a bind that shows our own data follows the host's mounts", async () => {
  const propagation = async (bind: string): Promise<string | undefined> => (await resolve({ Binds: [bind] }))[0]?.propagation;
  expect(await propagation("/var:/v")).toBe("rslave");
  expect(await propagation("/var/lib/tsubo/x:/v")).toBe("rslave");
  expect(await propagation("/var/lib/tsubo-other:/v")).toBe("rprivate");
  expect(await propagation("/var:/v:rshared")).toBe("rshared");
});

test("-v makes a missing folder of the host, --mount only when told to", async () => {
  const at = (name: string): string => path.join(folder, name);
  const asked = hostConfig.decode(
    {
      Binds: [`${at("made/deep")}:/a`],
      Mounts: [
        { Type: "bind", Source: at("not"), Target: "/b" },
        { Type: "bind", Source: at("told"), Target: "/c/", BindOptions: { CreateMountpoint: true } },
      ],
    },
    "",
  );
  const bind = (source: string, destination: string): MountPoint => ({ ...other, source, destination });
  const mounts = [bind(at("made/deep"), "/a"), bind(at("not"), "/b"), bind(at("told"), "/c")];
  await ensureBindSources({ hostConfig: asked, mounts });
  expect((await stat(at("made/deep"))).isDirectory()).toBe(true);
  expect((await stat(at("told"))).isDirectory()).toBe(true);
  await expect(stat(at("not"))).rejects.toThrow("ENOENT");
});

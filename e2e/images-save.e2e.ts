import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { gzipSync } from "node:zlib";
import { afterEach, beforeAll, describe, expect, test } from "vitest";

import { openTestDaemon } from "../src/testing/daemon.ts";
import { tar, type Entry } from "../src/testing/tar.ts";
import { useDaemon } from "./harness.ts";
import { digestOf, document, FIRST_TAR, HOST_ARCHITECTURE, makeImage } from "./images/image.ts";
import { missingTools, usePlace } from "./images/place.ts";

/**
 * `docker save` and `docker load`: what we write is read by others, what others write is read by us, and images keep their ids and diffIDs.
 */
const daemon = useDaemon();
const place = usePlace();
const docker = (...args: string[]): Promise<string> => daemon().dockerOk(...args);

const LAYERS = [FIRST_TAR, tar({ name: "etc/.wh.one" }, { name: "etc/two", content: "2" }, { name: "x", content: "x".repeat(5000) })];
const OTHER = tar({ name: "other", content: "other" });

/** An archive as Docker 1.10–24 wrote it. */
function dockerArchive(images: { layers: Buffer[]; tags: string[] | null; more?: object }[]): { bytes: Buffer; ids: string[] } {
  const entries: Entry[] = [];
  const ids: string[] = [];
  const manifest = images.map(({ layers, tags, more }) => {
    const { id, config } = makeImage(layers);
    ids.push(id);
    entries.push({ name: `${id.slice(7)}.json`, content: config.bytes });
    const names = layers.map((layer, at) => {
      const folder = digestOf(Buffer.from(`${digestOf(layer)}${at}`)).slice(7);
      entries.push({ name: `${folder}/`, type: "directory" }, { name: `${folder}/layer.tar`, content: layer });
      return `${folder}/layer.tar`;
    });
    return { Config: `${id.slice(7)}.json`, RepoTags: tags, Layers: names, ...more };
  });
  return { bytes: tar(...entries, { name: "manifest.json", content: JSON.stringify(manifest) }), ids };
}

async function load(bytes: Buffer, query = ""): Promise<{ lines: Record<string, unknown>[]; said: string; error: string | undefined }> {
  const answer = await daemon().api("POST", `/images/load${query}`, bytes);
  expect(answer.status).toBe(200);
  // Lines of JSON, as the Engine API has them.
  const lines = answer.text
    .split("\r\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  const said = lines.map(({ stream }) => (typeof stream === "string" ? stream : "")).join("");
  const error = lines.at(-1)?.["error"];
  return { lines, said, error: typeof error === "string" ? error : undefined };
}

const saved = (...names: string[]): Promise<Buffer> =>
  docker("save", "-o", place.file("saved.tar"), ...names).then(() => readFileSync(place.file("saved.tar")));

const layersOf = (image: string): Promise<string> => docker("image", "inspect", "-f", "{{.Id}} {{.RootFS.Layers}}", image);

afterEach(async () => {
  const kept = await docker("images", "-q", "busybox");
  const others = new Set((await docker("images", "-aq")).split("\n").filter((id) => id !== "" && id !== kept));
  if (others.size > 0) await docker("rmi", "-f", ...others);
});

describe("what is saved", () => {
  let id: string;

  beforeAll(async () => {
    const { ids, bytes } = dockerArchive([{ layers: LAYERS, tags: ["saved:1", "saved:2", "example.com/a/b:3"] }]);
    [id = ""] = ids;
    writeFileSync(place.file("source.tar"), bytes);
  });

  test("is an OCI layout with Docker's manifest.json, the same bytes each time", async () => {
    await docker("load", "-i", place.file("source.tar"));
    const first = await saved("saved:1", "example.com/a/b:3");
    expect((await saved("saved:1", "example.com/a/b:3")).equals(first)).toBe(true);
    const list = (await place.tool(["tar", "-tf", place.file("saved.tar")])).split("\n");
    const blobs = LAYERS.map((layer) => `blobs/sha256/${digestOf(layer).slice(7)}`);
    expect(list.slice(0, 5)).toEqual(["blobs/", "blobs/sha256/", ...blobs, `blobs/sha256/${id.slice(7)}`]);
    expect(list.slice(6)).toEqual(["index.json", "manifest.json", "oci-layout", "repositories"]);
    const text = (name: string): Promise<string> => place.tool(["tar", "-xOf", place.file("saved.tar"), name]);
    expect(JSON.parse(await text("manifest.json"))).toMatchObject([
      { Config: `blobs/sha256/${id.slice(7)}`, RepoTags: ["saved:1", "example.com/a/b:3"], Layers: blobs },
    ]);
    const top = digestOf(LAYERS[1] ?? OTHER).slice(7);
    expect(JSON.parse(await text("repositories"))).toEqual({ "example.com/a/b": { 3: top }, saved: { 1: top } });
    for (const [at, name] of blobs.entries()) {
      await place.tool(["tar", "-C", place.folder, "-xf", place.file("saved.tar"), name]);
      expect(readFileSync(place.file(name)).equals(LAYERS[at] ?? OTHER)).toBe(true);
    }
  });

  test("comes back under the names that were asked for", async () => {
    await docker("load", "-i", place.file("source.tar"));
    const before = await layersOf("saved:1");
    for (const [names, loaded] of [
      [["saved:2"], ["Loaded image: saved:2"]],
      [["saved"], ["Loaded image: saved:1", "Loaded image: saved:2"]],
      [[id], [`Loaded image ID: ${id}`]],
      [[id.slice(7, 19)], [`Loaded image ID: ${id}`]],
      [["saved:1", id, "saved:1"], ["Loaded image: saved:1"]],
    ] as const) {
      const archive = await saved(...names);
      await docker("rmi", "-f", id);
      expect((await load(archive)).said).toBe(loaded.map((line) => `${line}\n`).join(""));
      expect(await layersOf(id)).toBe(before);
      await docker("load", "-i", place.file("source.tar"));
    }
  });

  test("of several images holds what they share once", async () => {
    await load(
      dockerArchive([
        { layers: LAYERS, tags: ["a:1"] },
        { layers: [...LAYERS, OTHER], tags: ["b:1"] },
      ]).bytes,
    );
    await saved("a:1", "b:1");
    const list = (await place.tool(["tar", "-tf", place.file("saved.tar")])).split("\n");
    // Three layers, two configs, two manifests.
    expect(list.filter((name) => /^blobs\/sha256\/./.test(name))).toHaveLength(7);
    await docker("rmi", "a:1", "b:1");
    expect((await load(readFileSync(place.file("saved.tar")))).said).toBe("Loaded image: a:1\nLoaded image: b:1\n");
  });

  test.each([
    ["nosuch", "No such image: nosuch"],
    ["nosuch:1", "reference does not exist"],
    ["0123456789ab", "No such image: 0123456789ab"],
    ["UPPER", "invalid reference format: repository name (library/UPPER) must be lowercase"],
  ])("is told before it begins: %s", async (name, message) => {
    const answer = await daemon().api("GET", `/images/get?names=${name}`);
    expect(answer.json()).toEqual({ message: expect.stringContaining(message) });
  });

  test("is cut off when a layer proves damaged", async () => {
    await docker("load", "-i", place.file("source.tar"));
    const folder = await docker("image", "inspect", "-f", "{{.GraphDriver.Data.UpperDir}}", "saved:1");
    writeFileSync(`${folder}/x`, "y".repeat(5000));
    const refused = await daemon().docker("save", "-o", place.file("damaged.tar"), "saved:1");
    expect(refused.code).not.toBe(0);
  });

  test("is told of and loaded as events", async () => {
    const since = Math.floor(Date.now() / 1000) - 1;
    await docker("load", "-i", place.file("source.tar"));
    await saved("saved:1");
    const events = await daemon().eventsSince(since, ["type=image"], "{{.Action}} {{.Actor.ID}}");
    expect(events.filter((line) => line.endsWith(id))).toEqual(expect.arrayContaining([`load ${id}`, `save ${id}`]));
  });
});

describe("what others wrote is loaded:", () => {
  test.each(["gzip", "bzip2", "xz", "zstd"].filter((program) => missingTools(program).length === 0))(
    "an archive that %s packed",
    async (program) => {
      const { bytes, ids } = dockerArchive([{ layers: LAYERS, tags: ["packed:1"] }]);
      writeFileSync(place.file("plain.tar"), bytes);
      await place.tool(["sh", "-c", `${program} -c ${place.file("plain.tar")} > ${place.file("packed.tar")}`]);
      expect(await docker("load", "-i", place.file("packed.tar"))).toBe("Loaded image: packed:1");
      expect(await docker("images", "-q", "--no-trunc", "packed:1")).toBe(ids[0]);
    },
  );

  test("an image's layers with their progress, unless quiet", async () => {
    const { bytes } = dockerArchive([{ layers: LAYERS, tags: ["p:1"] }]);
    const short = digestOf(FIRST_TAR).slice(7, 19);
    const total = FIRST_TAR.length;
    const { lines } = await load(bytes);
    expect(lines).toContainEqual(
      expect.objectContaining({ status: "Loading layer", id: short, progressDetail: { current: total, total } }),
    );
    await docker("rmi", "p:1");
    expect((await load(bytes, "?quiet=1")).lines).toEqual([{ stream: "Loaded image: p:1\n" }]);
  });

  test("a name moves to the image that is loaded last", async () => {
    const { ids } = dockerArchive([{ layers: [OTHER], tags: ["moves:1"] }]);
    await load(dockerArchive([{ layers: [OTHER], tags: ["moves:1"] }]).bytes);
    expect((await load(dockerArchive([{ layers: LAYERS, tags: ["moves:1"] }]).bytes)).said).toBe(
      `The image moves:1 already exists, renaming the old one with ID ${ids[0]} to empty string\nLoaded image: moves:1\n`,
    );
  });

  test("layers that are symlinks to those of another image, as Docker 1.x saved them", async () => {
    const { id, config } = makeImage([OTHER]);
    const manifest = [{ Config: "config.json", RepoTags: ["linked:1"], Layers: ["b/layer.tar"] }];
    const archive = tar(
      { name: "a/layer.tar", content: OTHER },
      { name: "b/layer.tar", type: "symlink", link: "../a/layer.tar" },
      { name: "config.json", content: config.bytes },
      { name: "manifest.json", content: JSON.stringify(manifest) },
    );
    expect((await load(archive)).said).toBe("Loaded image: linked:1\n");
    expect(await docker("images", "-q", "--no-trunc", "linked:1")).toBe(id);
  });

  test("Docker's archives from before there were configs, with the ids that Docker gives them", async () => {
    const [lower, upper] = ["1".repeat(64), "2".repeat(64)];
    const json = (id: string, parent: object): string =>
      JSON.stringify({
        id,
        ...parent,
        created: "2015-01-02T03:04:05.6Z",
        container_config: { Cmd: ["/bin/sh", "-c", "a && b"] },
        architecture: "amd64",
        os: "linux",
        Size: 5,
      });
    const archive = tar(
      { name: `${lower}/VERSION`, content: "1.0" },
      { name: `${lower}/json`, content: json(lower, {}) },
      { name: `${lower}/layer.tar`, content: LAYERS[0] ?? OTHER },
      { name: `${upper}/json`, content: json(upper, { parent: lower }) },
      { name: `${upper}/layer.tar`, content: LAYERS[1] ?? OTHER },
      { name: "repositories", content: JSON.stringify({ old: { 1: upper } }) },
    );
    expect((await load(archive)).said).toBe("Loaded image: old:1\n");
    expect(await layersOf("old:1")).toContain(`[${LAYERS.map(digestOf).join(" ")}]`);
    // What dockerd 20.10 makes of the same archive.
    const config = `{"architecture":"amd64","container_config":{"Cmd":["/bin/sh","-c","a \\u0026\\u0026 b"]},"created":"2015-01-02T03:04:05.6Z","history":[${Array(
      2,
    )
      .fill('{"created":"2015-01-02T03:04:05.6Z","created_by":"/bin/sh -c a \\u0026\\u0026 b"}')
      .join(",")}],"os":"linux","rootfs":{"type":"layers","diff_ids":${JSON.stringify(LAYERS.map(digestOf))}}}`;
    expect(await docker("images", "-q", "--no-trunc", "old:1")).toBe(digestOf(Buffer.from(config)));
  });

  test("a child keeps its parent when both are in the archive", async () => {
    const step = (count: number): object => ({
      config: { history: Array.from({ length: count }, (_, at) => ({ created_by: `step ${at}` })) },
    });
    const parent = makeImage([FIRST_TAR], step(1));
    const child = makeImage([FIRST_TAR, OTHER], step(2));
    const archive = tar(
      { name: "p.json", content: parent.config.bytes },
      { name: "c.json", content: child.config.bytes },
      { name: "1.tar", content: FIRST_TAR },
      { name: "2.tar", content: OTHER },
      {
        name: "manifest.json",
        content: JSON.stringify([
          { Config: "p.json", RepoTags: ["parent:1"], Layers: ["1.tar"] },
          { Config: "c.json", RepoTags: ["child:1"], Layers: ["1.tar", "2.tar"], Parent: parent.id },
        ]),
      },
    );
    await load(archive);
    expect(await docker("image", "inspect", "-f", "{{.Parent}}", "child:1")).toBe(parent.id);
  });

  test("of an index for several platforms the one for this machine, or the one asked for", async () => {
    const images = [HOST_ARCHITECTURE, "s390x"].map((architecture) =>
      makeImage([tar({ name: architecture })], { config: { architecture } }),
    );
    const index = document("application/vnd.oci.image.index.v1+json", {
      schemaVersion: 2,
      manifests: images.map(({ manifest }, at) => ({
        ...descriptorOf(manifest),
        platform: { os: "linux", architecture: [HOST_ARCHITECTURE, "s390x"][at] },
      })),
    });
    const top = {
      schemaVersion: 2,
      manifests: [{ ...descriptorOf(index), annotations: { "io.containerd.image.name": "docker.io/library/multi:1" } }],
    };
    const blobs = [index, ...images.flatMap(({ manifest, config, layers }) => [manifest, config, ...layers])];
    const archive = tar(
      { name: "oci-layout", content: '{"imageLayoutVersion":"1.0.0"}' },
      { name: "index.json", content: JSON.stringify(top) },
      ...blobs.map(({ digest, bytes }) => ({ name: `blobs/sha256/${digest.slice(7)}`, content: bytes })),
    );
    expect((await load(archive)).said).toBe("Loaded image: multi:1\n");
    expect(await docker("images", "-q", "--no-trunc", "multi:1")).toBe(images[0]?.id);
    const platform = encodeURIComponent(JSON.stringify({ os: "linux", architecture: "s390x" }));
    await load(archive, `?platform=${platform}`);
    expect(await docker("images", "-q", "--no-trunc", "multi:1")).toBe(images[1]?.id);
  });
});

function descriptorOf({ mediaType, digest, bytes }: { mediaType: string; digest: string; bytes: Buffer }): object {
  return { mediaType, digest, size: bytes.length };
}

describe.skipIf(missingTools("skopeo", "umoci", "podman").length > 0)("with other tools", () => {
  const podman = (...args: string[]): Promise<string> =>
    place.tool(["podman", "--root", place.file("podman"), "--runroot", place.file("podman-run"), "--storage-driver", "vfs", ...args], {
      timeoutMs: 60_000,
    });

  async function ours(): Promise<string> {
    const { bytes, ids } = dockerArchive([{ layers: LAYERS, tags: ["tools:1"] }]);
    await load(bytes);
    await saved("tools:1");
    return ids[0] ?? "";
  }

  test("skopeo and umoci read what we save, as Docker's archive and as an OCI layout", async () => {
    const id = await ours();
    for (const source of [`docker-archive:${place.file("saved.tar")}:tools:1`, `oci-archive:${place.file("saved.tar")}:1`]) {
      const layout = place.file(`layout-${source.slice(0, 3)}`);
      expect(digestOf(Buffer.from(await place.tool(["skopeo", "inspect", "--raw", "--config", source])))).toBe(id);
      await place.tool(["skopeo", "--insecure-policy", "copy", source, `oci:${layout}:copy`]);
      await place.tool(["umoci", "unpack", "--image", `${layout}:copy`, `${layout}-tree`]);
      expect(readFileSync(`${layout}-tree/rootfs/etc/two`, "utf8")).toBe("2");
    }
  });

  test("podman reads what we save, and we what podman saves, compressed or not", async () => {
    const id = await ours();
    await podman("load", "-q", "-i", place.file("saved.tar"));
    expect(await podman("images", "-q", "--no-trunc", "tools")).toBe(id);
    for (const format of ["docker-archive", "oci-archive"]) {
      const file = place.file(`podman-${format}.tar`);
      await podman("save", "-q", "--format", format, "-o", file, "docker.io/library/tools:1");
      await docker("rmi", "-f", id);
      expect(await docker("load", "-i", file)).toBe("Loaded image: tools:1");
      expect(await layersOf("tools:1")).toBe(`${id} [${LAYERS.map(digestOf).join(" ")}]`);
    }
  });

  test.each(["gzip", "zstd"])("we read an OCI layout that skopeo wrote, its layers packed by %s", async (format) => {
    const id = await ours();
    const layout = place.file(`skopeo-${format}`);
    const options = ["--insecure-policy", "copy", "--dest-compress", "--dest-compress-format", format];
    await place.tool(["skopeo", ...options, `oci-archive:${place.file("saved.tar")}:1`, `oci:${layout}:latest`]);
    await place.tool(["tar", "-C", layout, "-cf", `${layout}.tar`, "."]);
    await docker("rmi", "-f", id);
    expect(await docker("load", "-i", `${layout}.tar`)).toBe(`Loaded image ID: ${id}`);
    expect(await layersOf(id)).toBe(`${id} [${LAYERS.map(digestOf).join(" ")}]`);
  });
});

describe("archives that lie", () => {
  const { config } = makeImage([FIRST_TAR]);
  const manifest = (item: object): Entry => ({
    name: "manifest.json",
    content: JSON.stringify([{ Config: "c", RepoTags: ["lie:1"], Layers: ["l"], ...item }]),
  });
  const good: Entry[] = [
    { name: "c", content: config.bytes },
    { name: "l", content: FIRST_TAR },
  ];
  const layout = (...more: Entry[]): Entry[] => [{ name: "oci-layout", content: '{"imageLayoutVersion":"1.0.0"}' }, ...more];

  test.each<[string, RegExp, Entry[] | Buffer]>([
    ["no archive", /^reading the archive: /, Buffer.from("no archive\n".repeat(100))],
    ["cut off", /ends in the middle/, tar(...good, manifest({})).subarray(0, -1500)],
    ["nothing in it", /holds no images/, [{ name: "file" }]],
    ["a name that leads up", /at "\.\.\/x": .*leads out/, [...good, { name: "../x", content: "evil" }, manifest({})]],
    ["a config outside of it", /no file "..\/..\/etc\/passwd"/, [...good, manifest({ Config: "../../etc/passwd" })]],
    [
      "a layer that is a symlink to outside",
      /no file "l"/,
      [{ name: "c", content: config.bytes }, { name: "l", type: "symlink", link: "/etc/passwd" }, manifest({})],
    ],
    [
      "a layer that is a symlink to itself",
      /no file "l"/,
      [{ name: "c", content: config.bytes }, { name: "l", type: "symlink", link: "l" }, manifest({})],
    ],
    [
      "a layer that is a device",
      /no file "l"/,
      [{ name: "c", content: config.bytes }, { name: "l", type: "block", device: [8, 0] }, manifest({})],
    ],
    [
      "a layer that is another",
      /^invalid diffID for layer "l": expected sha256:/,
      [{ name: "c", content: config.bytes }, { name: "l", content: OTHER }, manifest({})],
    ],
    [
      "a layer that is none",
      /^loading layer|unpacking the layer/,
      [{ name: "c", content: config.bytes }, { name: "l", content: "no tar".repeat(200) }, manifest({})],
    ],
    ["more layers than diffIDs", /layers length mismatch: expected 2, got 1/, [...good, manifest({ Layers: ["l", "l"] })]],
    ["no manifest at all", /cannot be null/, [{ name: "manifest.json", content: "null" }]],
    ["a manifest of another kind", /invalid manifest.json: /, [{ name: "manifest.json", content: '{"a":1}' }]],
    ["layers of another kind", /Layers is no list of texts/, [...good, manifest({ Layers: [1] })]],
    ["a tag that is none", /invalid tag "lie"/, [...good, manifest({ RepoTags: ["lie"] })]],
    ["a huge document", /has 5000000 bytes/, [{ name: "manifest.json", content: Buffer.alloc(5_000_000, 32) }]],
    [
      "a config for another system",
      /cannot load windows image on linux/,
      [
        { name: "c", content: makeImage([FIRST_TAR], { config: { os: "windows" } }).config.bytes },
        { name: "l", content: FIRST_TAR },
        manifest({}),
      ],
    ],
    ["an index of another kind", /invalid manifest/, layout({ name: "index.json", content: '{"schemaVersion":2,"manifests":{}}' })],
    [
      "a digest that leads up",
      /invalid or unsupported digest/,
      layout({
        name: "index.json",
        content: `{"schemaVersion":2,"manifests":[{"digest":"sha256:../../x","size":1,"mediaType":"application/vnd.oci.image.manifest.v1+json"}]}`,
      }),
    ],
    [
      "a blob that is not what its name says",
      /is not what its name says/,
      layout(
        { name: "index.json", content: JSON.stringify({ schemaVersion: 2, manifests: [descriptorOf(config)] }) },
        { name: `blobs/sha256/${config.digest.slice(7)}`, content: "other" },
      ),
    ],
    [
      "an image above itself",
      /above itself/,
      [
        { name: `${"1".repeat(64)}/json`, content: JSON.stringify({ parent: "1".repeat(64) }) },
        { name: "repositories", content: JSON.stringify({ lie: { 1: "1".repeat(64) } }) },
      ],
    ],
  ])("%s", async (_what, message, archive) => {
    const { error } = await load(Buffer.isBuffer(archive) ? archive : tar(...archive));
    expect(error).toMatch(message);
    expect(await docker("images", "-q", "lie")).toBe("");
  });

  test("an entry that is there twice counts as it would when it were unpacked", async () => {
    const archive = tar({ name: "l", content: OTHER }, ...good, manifest({}));
    expect((await load(archive)).said).toBe("Loaded image: lie:1\n");
  });

  test("a bomb is defused", async () => {
    const zeros = gzipSync(Buffer.alloc(16 * 1024 * 1024));
    const bomb = Buffer.concat([gzipSync(tar(...good)), ...Array.from({ length: 10 }, () => zeros)]);
    expect((await load(bomb)).error).toMatch(/goes on for more than \d+ bytes after its end/);
  });
});

test("on a full disk loading and saving are told, leave nothing, and work when there is room", { timeout: 60_000 }, async () => {
  const zeros = tar({ name: "zeros", content: Buffer.alloc(30 * 1024 ** 2) });
  const { bytes } = dockerArchive([{ layers: [zeros], tags: ["zeros:1"] }]);
  const small = await openTestDaemon();
  mkdirSync(small.roots.data, { recursive: true });
  const mount = (options: string): Promise<string> => place.tool(["mount", "-t", "tmpfs", "-o", options, "small", small.roots.data]);
  await mount("size=20m");
  try {
    await small.start();
    for (const archive of [bytes, gzipSync(bytes)]) {
      expect((await small.api("POST", "/images/load", archive)).text).toContain("no space left on device");
      await small.expectClean();
    }
    await mount("remount,size=80m");
    expect((await small.api("POST", "/images/load?quiet=1", gzipSync(bytes))).text).toContain("Loaded image: zeros:1");
    await mount("remount,size=50m");
    expect((await small.docker("save", "-o", place.file("zeros.tar"), "zeros:1")).code).not.toBe(0);
    await small.expectClean();
    await mount("remount,size=80m");
    await small.dockerOk("save", "-o", place.file("zeros.tar"), "zeros:1");
  } finally {
    await small.stop();
    await place.tool(["umount", small.roots.data]);
    await small.close();
  }
});

describe.each(["images.load.received", "images.load.unpacked", "images.load.added", "layers.commit.synced", "layers.commit.written"])(
  "the daemon at %s",
  (step) => {
    const { bytes, ids } = dockerArchive([{ layers: LAYERS, tags: ["fails:1"] }]);

    test.each(["error", "crash"])("%s: nothing is left, and the same load works", async (action) => {
      await daemon().stop();
      await daemon().start({ failpoints: `${step}=${action}` });
      writeFileSync(place.file("fails.tar"), bytes);
      expect((await daemon().docker("load", "-i", place.file("fails.tar"))).code).not.toBe(0);
      if (action === "crash") await daemon().waitForEnd(5000);
      else await daemon().stop();
      await daemon().start();
      expect(await docker("load", "-i", place.file("fails.tar"))).toBe("Loaded image: fails:1");
      expect(await layersOf("fails:1")).toBe(`${ids[0]} [${LAYERS.map(digestOf).join(" ")}]`);
    });
  },
);

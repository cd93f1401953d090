import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { afterEach, beforeAll, describe, expect, test } from "vitest";

import { openTestDaemon } from "../src/testing/daemon.ts";
import { tar } from "../src/testing/tar.ts";
import { useDaemon } from "./harness.ts";
import { makeImage } from "./images/image.ts";
import { usePlace } from "./images/place.ts";
import { imageTags, pull, removeImages } from "./images/pulls.ts";
import { openScriptedRegistry } from "./images/registry.ts";
import { describeTree, differences } from "./images/tree.ts";

/** Images by what is typed: import, tag, list, inspect, remove; and a disk that is full. */

const daemon = useDaemon();
const place = usePlace();
const docker = (...args: string[]): Promise<string> => daemon().dockerOk(...args);

afterEach(() => removeImages(daemon()));
const ARCHIVE = tar({ name: "bin", type: "directory" }, { name: "bin/sh", mode: 0o755, content: readFileSync("/bin/busybox") });

/** `docker import … -`, with the archive as standard input. */
async function importArchive(archive: Uint8Array, ...args: string[]): Promise<{ code: number; stderr: string; id: string }> {
  const { code, stderr, stdout } = await daemon().run([daemon().pathOf("docker"), "import", ...args], { input: archive });
  return { code, stderr, id: stdout.trim() };
}

describe("import", () => {
  test("makes an image with the changes asked for, which runs", async () => {
    const changes = ["ENV GREETING=hi", 'ENTRYPOINT ["/bin/sh","-c"]', "CMD echo $GREETING", "LABEL a=b", "EXPOSE 80", "WORKDIR /bin"];
    const { id } = await importArchive(ARCHIVE, ...changes.flatMap((change) => ["-c", change]), "-m", "as said", "-", "made/here:1");
    expect(id).toMatch(/^sha256:[0-9a-f]{64}$/);
    const shown = await docker(
      "image",
      "inspect",
      "-f",
      "{{.Id}} {{.RepoTags}} {{.Comment}} {{.Config.Env}} {{.Config.Labels}} {{json .Config.ExposedPorts}} {{.Config.WorkingDir}}",
      "made/here:1",
    );
    expect(shown).toBe(`${id} [made/here:1] as said [GREETING=hi] map[a:b] {"80/tcp":{}} /bin`);
    expect(await docker("run", "--rm", "made/here:1", "pwd; echo $GREETING")).toBe("/bin\nhi");
  });

  test.each<[string, (archive: Buffer) => Buffer | Promise<Buffer>]>([
    ["gzip", gzipSync],
    ["zstd", zstdCompressSync],
    ["xz", (archive) => packedBy("xz", archive)],
    ["bzip2", (archive) => packedBy("bzip2", archive)],
  ])("takes %s", async (_name, pack) => {
    const plain = await importArchive(ARCHIVE, "-", "plain");
    const packed = await importArchive(await pack(ARCHIVE), "-", "packed");
    expect([plain.code, packed.code]).toEqual([0, 0]);
    const layers = await docker("image", "inspect", "-f", "{{.RootFS.Layers}}", "plain", "packed");
    expect(new Set(layers.split("\n")).size).toBe(1);
  });

  test.each<[string, Buffer, string[], RegExp]>([
    ["what is no archive", Buffer.from("<html>".repeat(500)), [], /invalid tar header/],
    ["an archive cut short", ARCHIVE.subarray(0, 2000), [], /ends in the middle/],
    ["a gzip cut short", gzipSync(ARCHIVE).subarray(0, 5000), [], /the data ends in the middle/],
    ["an instruction that is no change", ARCHIVE, ["-c", "RUN true"], /RUN is not a valid change command/],
    ["a name that is none", ARCHIVE, ["UPPER"], /repository name \(library\/UPPER\) must be lowercase/],
    ["another system", ARCHIVE, ["--platform", "windows/amd64"], /operating system is not supported: windows/],
  ])("refuses %s", async (_what, archive, args, message) => {
    const flags = args[0]?.startsWith("-") ? args : [];
    const names = args[0]?.startsWith("-") ? ["bad"] : args;
    const { code, stderr } = await importArchive(archive, ...flags, "-", ...names);
    expect([code, stderr]).toEqual([1, expect.stringMatching(message)]);
    expect(await imageTags(daemon())).toEqual(["busybox:latest"]);
  });

  test("fetches from a URL", async () => {
    const server = await openScriptedRegistry();
    server.script((request, response) => {
      if (request.path === "/root.tar") response.end(ARCHIVE);
      else if (request.path === "/moved") response.writeHead(302, { location: "/root.tar" }).end();
      else if (request.path === "/cut")
        response.writeHead(200, { "content-length": ARCHIVE.length }).write(ARCHIVE.subarray(0, 9), () => response.destroy());
      else response.writeHead(404).end();
      return true;
    });
    const url = `http://${server.host}/root.tar`;
    expect(await docker("import", url, "fetched")).toMatch(/^Downloading from http:\S+\n(?:Importing.*\n)*sha256:[0-9a-f]{64}$/);
    expect(await docker("import", url.replace("root.tar", "moved"), "moved")).toContain("sha256:");
    expect((await daemon().docker("import", url.replace("root.tar", "cut"))).stderr).toContain(`Get "http://${server.host}/cut": `);
    expect((await daemon().docker("import", "http://127.0.0.1:1/x")).stderr).toContain("connect: connection refused");
    expect((await daemon().api("POST", "/images/create?fromSrc=ftp://x/y")).status).toBe(400);
    expect(await docker("image", "inspect", "-f", "{{.Comment}}", "fetched")).toBe(`Imported from ${url}`);
    expect((await daemon().docker("import", `${url}.no`)).stderr).toContain("404 Not Found");
    await server.close();
  });

  describe("unpacks what GNU tar packs", () => {
    const root = place.file("odd");

    beforeAll(async () => {
      const deep = `${root}/${"long ".repeat(10)}/b`;
      mkdirSync(deep, { recursive: true });
      writeFileSync(`${deep}/${"n".repeat(40)}`, "content");
      writeFileSync(`${root}/ünïcödé`, "x");
      const holes = "for i in $(seq 0 39); do printf data | dd of=holes bs=1 seek=$((i*9000)) conv=notrunc status=none; done";
      const others = `ln ünïcödé again; ln -s ${"t".repeat(90)} link; touch -d @5 old; chown 1000:2000 old; truncate -s 5M empty`;
      await place.tool(["sh", "-c", `cd ${root}; ${holes}; truncate -s 1M holes; ${others}`]);
    });

    test.each([
      ...["v7", "oldgnu", "gnu", "ustar", "pax"].map((format) => [`--format=${format}`]),
      ["--format=gnu", "--sparse"],
      ...["0.0", "0.1", "1.0"].map((version) => ["--format=pax", "--sparse", `--sparse-version=${version}`]),
    ])("%s %s %s", async (...flags) => {
      const archive = place.file("odd.tar");
      await place.tool(["tar", ...flags.filter((flag) => flag !== undefined), "--numeric-owner", "-C", root, "-cf", archive, "."]);
      await importArchive(readFileSync(archive), "-", "odd");
      const layer = await docker("image", "inspect", "-f", "{{.GraphDriver.Data.UpperDir}}", "odd");
      const times = flags.includes("--format=pax") ? "ns" : "s";
      expect(differences(describeTree(root, { times }), describeTree(layer, { times }))).toEqual([]);
      // Blocks on the disk, of 512 bytes.
      expect(statSync(`${layer}/empty`).blocks).toBe(flags.includes("--sparse") ? 0 : 10_240);
    });
  });
});

describe("names", () => {
  test("tag adds one, rmi takes it away; the image goes with the last", async () => {
    const { id } = await importArchive(ARCHIVE, "-", "one:1");
    await docker("tag", "one:1", "two");
    await docker("tag", id, "localhost:5000/three:3");
    expect(await docker("image", "inspect", "-f", "{{json .RepoTags}}", id)).toBe('["one:1","two:latest","localhost:5000/three:3"]');
    expect(await docker("rmi", "one:1")).toBe("Untagged: one:1");
    expect(await docker("rmi", "two")).toBe("Untagged: two:latest");
    const layer = await docker("image", "inspect", "-f", "{{index .RootFS.Layers 0}}", id);
    expect(await docker("rmi", "localhost:5000/three:3")).toBe(`Untagged: localhost:5000/three:3\nDeleted: ${id}\nDeleted: ${layer}`);
  });

  test("a name given anew leaves the old image without one", async () => {
    const old = await importArchive(ARCHIVE, "-", "name");
    await importArchive(tar({ name: "other" }), "-", "name");
    expect(await docker("images", "-q", "--no-trunc", "-f", "dangling=true")).toBe(old.id);
    expect(await docker("rmi", old.id)).toContain(`Deleted: ${old.id}`);
  });

  test.each([
    [["tag", "busybox", "Bad"], /invalid reference format: repository name \(library\/Bad\) must be lowercase/],
    [["tag", "busybox", "a:b:c"], /is not a valid repository\/tag: invalid reference format/],
    [["tag", "nosuch", "a"], /^Error response from daemon: No such image: nosuch:latest$/m],
    [["rmi", "nosuch"], /^Error response from daemon: No such image: nosuch:latest$/m],
    [["image", "inspect", "nosuch"], /^Error response from daemon: No such image: nosuch:latest$/m],
    [["pull", "scratch"], /'scratch' is a reserved name/],
  ])("docker %j is refused", async (args, message) => {
    const { code, stderr } = await daemon().docker(...args);
    expect([code, stderr]).toEqual([1, expect.stringMatching(message)]);
  });
});

describe("rmi of an image in use", () => {
  test("by several names, by its id", async () => {
    const { id } = await importArchive(ARCHIVE, "-", "one");
    await docker("tag", "one", "two");
    const short = id.slice(7, 19);
    expect((await daemon().docker("rmi", short)).stderr).toContain(
      `conflict: unable to delete ${short} (must be forced) - image is referenced in multiple repositories`,
    );
    expect(await docker("rmi", "-f", short)).toContain(`Deleted: ${id}`);
  });

  test("by containers, stopped and running", async () => {
    const { id } = await importArchive(ARCHIVE, "-", "used");
    const short = id.slice(7, 19);
    const box = (await docker("create", "--name", "box", "used", "/bin/sh", "-c", "exec sleep 1000")).slice(0, 12);
    expect((await daemon().docker("rmi", "used")).stderr).toContain(
      `conflict: unable to remove repository reference "used" (must force) - container ${box} is using its referenced image ${short}`,
    );
    expect((await daemon().docker("rmi", short)).stderr).toContain(
      `conflict: unable to delete ${short} (must be forced) - image is being used by stopped container ${box}`,
    );
    await docker("start", "box");
    expect((await daemon().docker("rmi", "-f", short)).stderr).toContain(
      `conflict: unable to delete ${short} (cannot be forced) - image is being used by running container ${box}`,
    );
    expect(await docker("rmi", "-f", "used")).toBe("Untagged: used:latest");
    await docker("stop", "-t", "0", "box");
    expect(await docker("rmi", "-f", short)).toContain(`Deleted: ${id}`);
    await docker("start", "box");
  });
});

test("images lists by Docker's filters, newest first", async () => {
  const labelled = await importArchive(ARCHIVE, "-c", "LABEL kind=a", "-", "list/one:1");
  const newest = await importArchive(tar({ name: "x" }), "-c", "LABEL kind=b", "-", "list/two:2");
  const listed = async (...args: string[]): Promise<string[]> =>
    (await docker("images", "--format", "{{.Repository}}:{{.Tag}}", ...args)).split("\n").filter(Boolean);
  expect(await listed()).toEqual(["list/two:2", "list/one:1", "busybox:latest"]);
  expect(await listed("-f", "label=kind=a")).toEqual(["list/one:1"]);
  expect(await listed("-f", "label=kind")).toEqual(["list/two:2", "list/one:1"]);
  expect(await listed("-f", "reference=list/*")).toEqual(["list/two:2", "list/one:1"]);
  expect(await listed("-f", "reference=*:2")).toEqual([]);
  expect(await listed("-f", "since=list/one:1")).toEqual(["list/two:2"]);
  expect(await listed("-f", `before=${newest.id}`)).toEqual(["list/one:1", "busybox:latest"]);
  expect(await listed("-f", "dangling=true")).toEqual([]);
  expect(await listed("list/one")).toEqual(["list/one:1"]);
  expect(await docker("images", "-q", "--no-trunc", "list/one:1")).toBe(labelled.id);
  expect((await daemon().docker("images", "-f", "nosuch=1")).stderr).toContain("invalid filter 'nosuch'");
});

test("history tells each step, newest first", async () => {
  await importArchive(ARCHIVE, "-m", "made of a tar", "-", "made");
  expect(await docker("history", "--no-trunc", "--format", "{{.Comment}}|{{.CreatedBy}}|{{.Size}}", "made")).toMatch(
    /^made of a tar\|\|[\d.]+[kM]B$/,
  );
});

describe("a full disk", () => {
  test("is told, leaves nothing, and with room again the same pull works", async () => {
    const small = await openTestDaemon();
    mkdirSync(small.roots.data, { recursive: true });
    const mount = (options: string): Promise<string> => place.tool(["mount", "-t", "tmpfs", "-o", options, "small", small.roots.data]);
    await mount("size=30m");
    const registry = await openScriptedRegistry();
    try {
      await small.start();
      const zeros = tar({ name: "zeros", content: Buffer.alloc(40 * 1024 ** 2) });
      const unpacks = registry.put("unpacks", makeImage([zeros, ARCHIVE]));
      const downloads = registry.put(
        "downloads",
        makeImage([ARCHIVE, { tar: zeros, blob: zeros, mediaType: "application/vnd.oci.image.layer.v1.tar" }]),
      );
      for (const reference of [unpacks, downloads]) {
        expect((await pull(small, reference)).error).toContain("no space left on device");
        await small.expectClean();
      }
      expect((await small.api("POST", "/images/create?fromSrc=-&repo=full", zeros)).text).toContain("no space left on device");
      await small.expectClean();
      await mount("remount,size=300m");
      for (const reference of [unpacks, downloads]) expect((await pull(small, reference)).error).toBe("");
    } finally {
      await registry.close();
      await small.stop();
      await place.tool(["umount", small.roots.data]);
      await small.close();
    }
    expect(existsSync(small.roots.data)).toBe(false);
  });
});

async function packedBy(program: string, archive: Buffer): Promise<Buffer> {
  const file = place.file(`archive.${program}`);
  writeFileSync(file, archive);
  await place.tool(["sh", "-c", `${program} -1 -c < ${file} > ${file}.packed`]);
  return readFileSync(`${file}.packed`);
}

import { createHash } from "node:crypto";
import { linkSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";

import { paths } from "../src/store/roots.ts";
import type { DriverName } from "../src/store/storage-driver.ts";
import { tar } from "../src/testing/tar.ts";
import { usePlace } from "./images/place.ts";
import { describeTree } from "./images/tree.ts";
import { openTestStore, type TestStore } from "./layers/store.ts";

/** What every storage driver has to do, whatever a layer is to it. */
const place = usePlace();

describe.each<DriverName>(["overlay2", "vfs"])("the driver %s", (name) => {
  let store: TestStore;
  let count = 0;

  beforeEach(async () => {
    store = await openTestStore(place.file(`${name}-${(count += 1)}`), name);
  });
  afterEach(async () => {
    const layers = store.driver.list().length;
    await store[Symbol.asyncDispose]();
    expect(readdirSync(paths.layers(store.roots))).toHaveLength(layers);
    expect(readFileSync("/proc/self/mountinfo", "utf8")).not.toContain(`${store.roots.data}/`);
  });

  /** The tree that a layer and those below it make. */
  async function treeOf(parent: Parameters<TestStore["driver"]["mountReadOnly"]>[0]): Promise<Map<string, string>> {
    const target = store.target("look");
    await store.driver.mountReadOnly(parent, target);
    try {
      return describeTree(target, { times: "s" });
    } finally {
      await store.driver.unmountReadOnly(target);
    }
  }

  const apply = async (archive: Buffer, parent: string | undefined): Promise<string> => {
    const file = place.file("layer.tar");
    writeFileSync(file, archive);
    const staged = await store.driver.stage(parent);
    await staged.apply({ path: file, what: "unpacking" });
    await staged.complete();
    return store.commit(staged, parent);
  };

  const packed = async (chainId: string, options?: { gzip: boolean }): Promise<Buffer> => {
    const file = place.file("packed");
    const { digest, sizeBytes } = await store.driver.pack(chainId, file, options);
    const bytes = readFileSync(file);
    expect({ digest, sizeBytes }).toEqual({ digest: digestOf(bytes), sizeBytes: bytes.length });
    return bytes;
  };

  test("a layer that changed nothing is the empty tar, as in Docker", async () => {
    const staged = await store.stageInPlace(undefined, () => undefined);
    const diffId = "sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef";
    expect(await staged.finish()).toEqual({ diffId, bytes: 0, tarBytes: 1024 });
    const chainId = await store.commit(staged, undefined);
    expect((await packed(chainId)).equals(Buffer.alloc(1024))).toBe(true);
  });

  test("what was written in place comes back out of the tar that it packs to", async () => {
    const staged = await store.stageInPlace(undefined, (tree) => {
      mkdirSync(`${tree}/folder`);
      writeFileSync(`${tree}/folder/file`, "content", { mode: 0o4755 });
      linkSync(`${tree}/folder/file`, `${tree}/also`);
      symlinkSync("folder/file", `${tree}/link`);
      writeFileSync(`${tree}/${"long".repeat(60)}`, "");
    });
    const chainId = await store.commit(staged, undefined);
    const archive = await packed(chainId);
    expect(store.driver.describe(chainId)).toEqual({
      parent: undefined,
      diffId: chainId,
      bytes: "content".length + "folder/file".length,
      tarBytes: archive.length,
    });
    expect(digestOf(archive)).toBe(chainId);

    const tree = await treeOf(chainId);
    expect(tree.size).toBe(6);
    const first = store;
    store = await openTestStore(place.file(`${name}-other`), name);
    try {
      expect(await apply(archive, undefined)).toBe(chainId);
      const copy = await treeOf(chainId);
      // The root itself is no part of a layer.
      for (const each of [tree, copy]) each.delete(".");
      expect(copy).toEqual(tree);
    } finally {
      await store[Symbol.asyncDispose]();
      store = first;
    }
  });

  test("a tree of all kinds of files packs to the tar that dockerd makes of it", async () => {
    const staged = await store.stageInPlace(undefined, (tree) =>
      place.tool(["sh", "-ec", `cd ${tree}\n${ALL_KINDS}`]).then(() => undefined),
    );
    // By dockerd 20.10, without what Docker has left out since: names of owners, and the file's type in the mode.
    expect((await staged.finish()).diffId).toBe("sha256:77e93d221048b71d3a7661b409842bf82fc9115aebadf8aa06869117c6f7456a");
    await staged.abort();
  });

  test("deletions and replaced folders hide what is below, in place and as a tar", async () => {
    const base = await apply(
      tar(
        { name: "gone" },
        { name: "a/", type: "directory" },
        { name: "a/old" },
        { name: "a/b/", type: "directory" },
        { name: "kept/", type: "directory" },
        { name: "kept/file" },
      ),
      undefined,
    );
    const staged = await store.stageInPlace(base, (tree) => {
      rmSync(`${tree}/gone`);
      rmSync(`${tree}/a`, { recursive: true });
      mkdirSync(`${tree}/a`);
      writeFileSync(`${tree}/a/new`, "");
      rmSync(`${tree}/kept/file`);
    });
    expect(namesOf(await treeOf(staged))).toEqual([".", "a", "a/new", "kept"]);
    const chainId = await store.commit(staged, base);
    const archive = await packed(chainId);
    const listed = await place.tool(["tar", "-tf", place.file("packed")]);
    // In the order of the names themselves, as with dockerd.
    // One that compares trees cannot know that a folder is another than before.
    const inA = name === "vfs" ? ["a/.wh.b", "a/new", "a/.wh.old"] : ["a/.wh..wh..opq", "a/new"];
    expect(listed.split("\n")).toEqual(["a/", ...inA, ".wh.gone", "kept/", "kept/.wh.file"]);
    expect(digestOf(archive)).toBe(store.driver.describe(chainId)?.diffId);

    await store.driver.remove([chainId]);
    expect(await apply(archive, base)).toBe(chainId);
    expect(namesOf(await treeOf(chainId))).toEqual([".", "a", "a/new", "kept"]);
  });

  test("layers are made on top of layers that nobody has committed yet", async () => {
    const first = await store.stageInPlace(undefined, (tree) => writeFileSync(`${tree}/first`, "1"));
    const second = await store.stageInPlace(first, (tree) => {
      expect(readFileSync(`${tree}/first`, "utf8")).toBe("1");
      writeFileSync(`${tree}/second`, "2");
    });
    expect(namesOf(await treeOf(second))).toEqual([".", "first", "second"]);
    const contents = [await first.finish(), await second.finish()] as const;
    await store.driver.commit([
      { staged: first, chainId: "sha256:1", parent: undefined, ...contents[0] },
      { staged: second, chainId: "sha256:2", parent: "sha256:1", ...contents[1] },
    ]);
    expect(namesOf(await treeOf("sha256:2"))).toEqual([".", "first", "second"]);
    expect(await store.driver.remove(["sha256:1"])).toEqual([]);
    expect(await store.driver.remove(["sha256:2", "sha256:1"])).toEqual(["sha256:2", "sha256:1"]);
  });

  test("what a runtime mounts over is there for processes, and no part of the layer", async () => {
    const staged = await store.driver.stage(undefined);
    const tree = store.target("tree");
    await staged.mount(tree, { mountPoints: true });
    expect(readdirSync(tree).toSorted()).toEqual([".dockerenv", "dev", "etc", "proc", "sys"]);
    writeFileSync(`${tree}/file`, "");
    await staged.unmount();
    const chainId = await store.commit(staged, undefined);
    expect(namesOf(await treeOf(chainId))).toEqual([".", "file"]);
  });

  test("a layer in the making is gone when it is given up, also while it is mounted", async () => {
    const staged = await store.driver.stage(undefined);
    await staged.mount(store.target("tree"));
    writeFileSync(path.join(store.target("tree"), "file"), "");
    await staged.abort();
    expect(readdirSync(store.target("tree"))).toEqual([]);
  });

  test("a crash leaves neither layers in the making nor their mounts", async () => {
    const base = await apply(tar({ name: "file" }), undefined);
    const staged = await store.driver.stage(base);
    await staged.mount(store.target("tree"));
    await store.driver.mountReadOnly(base, store.target("look"));
    store = await store.reopen();
    expect(readdirSync(store.target("tree"))).toEqual([]);
    expect(readdirSync(store.target("look"))).toEqual([]);
    expect(namesOf(await treeOf(base))).toEqual([".", "file"]);
  });

  describe("what a container wrote", () => {
    let base: string;

    beforeEach(async () => {
      base = await apply(tar({ name: "etc/", type: "directory" }, { name: "etc/old" }, { name: "etc/same", content: "same" }), undefined);
      await store.driver.createWritable("c", base);
      await store.driver.mountWritable("c", base, store.target("tree"));
      const tree = store.target("tree");
      rmSync(`${tree}/etc/old`);
      writeFileSync(`${tree}/etc/new`, "new");
      mkdirSync(`${tree}/home`);
      linkSync(`${tree}/etc/new`, `${tree}/home/also`);
      // By its size and time, which is what Docker goes by, it is the same; an overlay has it all the same.
      const { atime, mtime } = statSync(`${tree}/etc/same`);
      writeFileSync(`${tree}/etc/same`, "emas");
      utimesSync(`${tree}/etc/same`, atime, mtime);
    });
    afterEach(async () => {
      await store.driver.unmountWritable(store.target("tree"));
      await store.driver.removeWritable("c");
    });

    test("is listed by Docker's rules", async () => {
      expect(await store.driver.changesOf("c")).toEqual([
        { path: "/etc", kind: "modified" },
        { path: "/etc/new", kind: "added" },
        { path: "/etc/old", kind: "deleted" },
        { path: "/home", kind: "added" },
        { path: "/home/also", kind: "added" },
      ]);
    });

    test.each([true, false])("becomes a layer that later writes do not reach (frozen: %s)", async (frozen) => {
      const staged = await store.driver.stageCopyOfWritable("c", { frozen });
      const content = await staged.finish();
      writeFileSync(path.join(store.target("tree"), "etc/new"), "NEW");
      const chainId = await store.commit(staged, base);
      await packed(chainId);
      expect(store.driver.describe(chainId)).toEqual({ parent: base, ...content });
      const target = store.target("look");
      await store.driver.mountReadOnly(chainId, target);
      expect([readFileSync(`${target}/etc/new`, "utf8"), readFileSync(`${target}/etc/same`, "utf8")]).toEqual([
        "new",
        name === "vfs" ? "same" : "emas",
      ]);
      expect(statSync(`${target}/etc/new`).ino).toBe(statSync(`${target}/home/also`).ino);
      expect(readdirSync(`${target}/etc`).toSorted()).toEqual(["new", "same"]);
      await store.driver.unmountReadOnly(target);
    });

    test("stays mounted when a daemon comes after another, and only that", async () => {
      const leftover = path.join(paths.containerWritable(store.roots, "c"), "merged-0");
      mkdirSync(leftover);
      await place.tool(["mount", "--bind", store.target("tree"), leftover]);
      store = await store.reopen();
      expect(readFileSync(path.join(store.target("tree"), "etc/new"), "utf8")).toBe("new");
      expect(readdirSync(leftover)).toEqual([]);
      // It knows where it is, and does not mount it a second time.
      await store.driver.mountWritable("c", base, store.target("tree"));
      await expect(store.driver.mountWritable("c", base, store.target("look"))).rejects.toThrow("is mounted at");
    });

    test.each(["mounted", "not mounted"])("is exported as one tree, %s", async (state) => {
      if (state === "not mounted") await store.driver.unmountWritable(store.target("tree"));
      await store.driver.packWritable("c", place.file("export.tar"));
      const listed = (await place.tool(["tar", "-tf", place.file("export.tar")])).split("\n");
      expect(listed).toContain("home/also");
      expect(listed).toContain("etc/hosts");
      expect(listed).not.toContain("etc/old");
    });
  });

  describe("a tar comes back byte for byte", () => {
    test.each(["v7", "oldgnu", "gnu", "ustar", "posix"])("GNU tar's --format=%s", async (format) => {
      const tree = place.file(`tree-${name}-${format}`);
      await place.tool([
        "sh",
        "-ec",
        `mkdir -p ${tree}/folder; cd ${tree}; echo content > folder/file; ln folder/file also; ln -s file folder/link`,
      ]);
      await place.tool(["truncate", "-s", "1M", `${tree}/sparse`]);
      await place.tool(["sh", "-c", `printf end >> ${tree}/sparse`]);
      const options = [`--format=${format}`, "--numeric-owner", ...(format === "v7" || format === "ustar" ? [] : ["--sparse"])];
      const archive = place.file("made.tar");
      await place.tool(["tar", "-C", tree, ...options, "-cf", archive, "."]);
      const bytes = readFileSync(archive);
      const chainId = await apply(bytes, undefined);
      expect(chainId).toBe(digestOf(bytes));
      expect((await packed(chainId)).equals(bytes)).toBe(true);
    });

    const content = "content".repeat(1000);
    test.each<[string, Parameters<typeof tar>]>([
      [
        "a file that is there twice",
        [
          { name: "file", content },
          { name: "file", content: "other" },
        ],
      ],
      [
        "a folder that a file replaces",
        [
          { name: "x/", type: "directory" },
          { name: "x/file", content },
          { name: "x", content: "other" },
        ],
      ],
      ["a file that becomes a link", [{ name: "file", content }, { name: "x" }, { name: "file", type: "hardlink", link: "x" }]],
      [
        "files below a symlink",
        [
          { name: "a/", type: "directory" },
          { name: "b", type: "symlink", link: "a" },
          { name: "b/file", content },
        ],
      ],
      ["a whiteout with a body", [{ name: ".wh.gone", content }]],
      [
        "what is said for all entries",
        [
          { name: "g", flag: "g", content: "19 comment=whatever\n" },
          { name: "file", content },
        ],
      ],
    ])("%s", async (_what, entries) => {
      const bytes = Buffer.concat([tar(...entries), Buffer.alloc(7 * 512)]);
      const chainId = await apply(bytes, undefined);
      expect((await packed(chainId)).equals(bytes)).toBe(true);
    });
  });

  test("gzip holds the same tar", async () => {
    const base = await apply(tar({ name: "file", content: "content".repeat(10_000) }), undefined);
    await packed(base, { gzip: true });
    expect(await place.tool(["sh", "-c", `gzip -dc ${place.file("packed")} | sha256sum | cut -c1-64`])).toBe(base.slice("sha256:".length));
  });

  test("a store that was meddled with is told by the layer's name", async () => {
    const base = await apply(tar({ name: "file", content: "right" }), undefined);
    const folder = store.driver.inspect(base)["UpperDir"] ?? "";
    const { atime, mtime } = statSync(`${folder}/file`);
    writeFileSync(`${folder}/file`, "wrong");
    utimesSync(`${folder}/file`, atime, mtime);
    await expect(store.driver.pack(base, place.file("packed"))).rejects.toThrow(
      new RegExp(`^packing layer ${base.slice(7, 19)}: the store holds other content than when it was made`),
    );
  });
});

const ALL_KINDS = `
umask 022; mkdir -p d/sub; echo hi > d/file; ln d/file d/hard; ln d/file d/sub/hard; ln -s file d/link; ln -s $(printf 'x%.0s' $(seq 150)) d/longlink
long=$(printf 'n%.0s' $(seq 120)); echo long > d/$long; ln d/$long d/zz
deep=$(printf 'd%.0s' $(seq 90)); mkdir -p d/$deep/$deep/$deep; echo deep > d/$deep/$deep/$deep/f; echo > d/$deep/$deep/f
echo u > "d/\u00fc\u540d"; ln -s "\u00fc" d/linked; printf x > "$(printf 'd/\\377')"; : > d/empty
mkfifo d/fifo; mknod d/null c 1 3; ln d/null d/null2; mknod d/block b 8 300
echo big > d/owned; chown 3000000:2500000 d/owned; chown -h 70000:1 d/link
chmod 4755 d/file; chmod 1777 d/sub; chmod 0 d/empty
find d -depth -exec touch -h -d @1600000000.5 {} +
touch -d @-5 d/owned; touch -d @9999999999 d/block
`;

function digestOf(bytes: Buffer): string {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}

function namesOf(tree: Map<string, string>): string[] {
  return [...tree.keys()].toSorted(byBytes);
}

function byBytes(a: string, b: string): number {
  return a < b ? -1 : 1;
}

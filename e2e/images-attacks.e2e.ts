import { mkdirSync, writeFileSync } from "node:fs";
import { beforeAll, describe, expect, test } from "vitest";

import { tar, type Entry } from "../src/testing/tar.ts";
import { useDaemon } from "./harness.ts";
import { usePlace } from "./images/place.ts";
import { describeTree, differences } from "./images/tree.ts";

/**
 * Layers that want out. Each is refused or made harmless, as a chroot would make it; in no case is anything outside the layer made, changed,
 * linked or read. (CVE-2014-6407, 2014-9356, 2014-9357, 2018-1002208, 2021-41089 and their like.)
 */

const daemon = useDaemon();
const place = usePlace();
const CANARY = place.file("canary");
const UP = "../".repeat(30);

let untouched: Map<string, string>;

beforeAll(() => {
  mkdirSync(CANARY, { mode: 0o700 });
  writeFileSync(`${CANARY}/secret`, "secret", { mode: 0o600 });
  untouched = describeTree(place.folder, { times: "ns" });
});
const link = (name: string, target: string): Entry => ({ name, type: "symlink", link: target });
const folder = (name: string): Entry => ({ name, type: "directory", mode: 0o777 });
const file = (name: string): Entry => ({ name, content: "evil" });
const hardlink = (name: string, target: string): Entry => ({ name, type: "hardlink", link: target });

describe("refused:", () => {
  test.each<[string, RegExp, Entry[]]>([
    ["a name that leads up", /at "\.\..*leads out of the layer/, [file(`${UP}${CANARY}/new`)]],
    ["a name that leads up after it led down", /leads out of the layer/, [file(`a/../../${UP}${CANARY}/new`)]],
    ["a folder that leads up", /leads out of the layer/, [folder("../layer")]],
    ["a file below a symlink to a folder outside", /at "out\/new": no such file or directory$/, [link("out", CANARY), file("out/new")]],
    ["the same by a relative symlink", /at "out\/new"/, [link("out", UP + CANARY), file("out/new")]],
    ["the same by two symlinks", /at "b\/new"/, [link("a", "/"), link("b", `a${CANARY}`), file("b/new")]],
    ["a folder made below a symlink to outside", /at "out\/new"/, [link("out", CANARY), folder("out/new")]],
    ["a file below a magic link", /at "root\//, [link("root", "/proc/self/root"), file(`root${CANARY}/new`)]],
    ["a hard link to a file outside", /is not in the layer/, [hardlink("secret", `${CANARY}/secret`)]],
    ["the same by a relative name", /leads out of the layer/, [hardlink("secret", `${UP}${CANARY}/secret`)]],
    ["the same by a symlink", /is not in the layer/, [link("out", CANARY), hardlink("secret", "out/secret")]],
    ["a hard link to a folder", /at "again"/, [folder("a"), hardlink("again", "a")]],
    ["a whiteout below a symlink to outside", /at "out\/\.wh\.secret"/, [link("out", CANARY), file("out/.wh.secret")]],
    ["an opaque mark below a symlink to outside", /at "out\/\.wh\.\.wh\.\.opq"/, [link("out", CANARY), file("out/.wh..wh..opq")]],
    ["a whiteout of the folder above", /a whiteout of a folder itself or of the one above/, [folder("a"), file("a/.wh...")]],
    ["a whiteout of the folder itself", /a whiteout of a folder itself or of the one above/, [folder("a"), file("a/.wh..")]],
    ["a whiteout of nothing", /a whiteout of a folder itself or of the one above/, [file(".wh.")]],
    ["a root that is a symlink", /the layer's root is to be a symlink/, [link("./", CANARY)]],
    ["a path as deep as no kernel takes it", /the path is \d+ bytes long/, [file(`${"d/".repeat(100_000)}f`)]],
    ["a symlink that leads deeper and deeper", /at "l/, deepening()],
    ["a name with a NUL", /NUL/, [{ ...file("x"), pax: { path: "a\0b" } }]],
    ["a file longer than the archive", /ends in the middle/, [{ ...file("x"), sizeBytes: 2 ** 32 }]],
  ])("%s", async (_what, message, entries) => {
    expect(await importLayer(tar(...entries))).toMatch(message);
    expect(differences(untouched, describeTree(place.folder, { times: "ns" }))).toEqual([]);
  });
});

describe("harmless:", () => {
  test.each<[string, Record<string, RegExp>, Entry[]]>([
    ["an absolute name", { [`.${CANARY}/new`]: /size 4/ }, [file(`${CANARY}/new`)]],
    ["an absolute name that leads up", { new: /size 4/ }, [file(`/${UP}new`)]],
    [
      "a file in the place of a symlink to a file outside",
      { secret: /^mode 100644 .*size 4/ },
      [link("secret", `${CANARY}/secret`), file("secret")],
    ],
    ["a folder in the place of a symlink to one outside", { "out/new": /size 4/ }, [link("out", CANARY), folder("out"), file("out/new")]],
    ["a hard link to a symlink", { again: /^mode 120777/ }, [link("out", `${CANARY}/secret`), hardlink("again", "out")]],
    ["a hard link to itself", { a: /size 4/ }, [file("a"), hardlink("a", "a")]],
    ["a symlink that means a folder of the layer", { [`.${CANARY}/new`]: /size 4/ }, [folder(CANARY), link("in", CANARY), file("in/new")]],
    ["a file in the place of a FIFO", { pipe: /^mode 100644/ }, [{ name: "pipe", type: "fifo" }, file("pipe")]],
    ["a file in the place of a folder with a symlink in it", { d: /size 4/ }, [folder("d"), link("d/out", CANARY), file("d")]],
    [
      "attributes that only overlayfs may set",
      { d: /^mode 40755 [^,]*$/ },
      [
        {
          name: "d",
          type: "directory",
          pax: { "SCHILY.xattr.trusted.overlay.redirect": CANARY, "SCHILY.xattr.trusted.overlay.opaque": "y" },
        },
      ],
    ],
    ["the same entry again and again", { a: /size 4/ }, Array.from({ length: 100 }, () => file("a"))],
  ])("%s", async (_what, holds, entries) => {
    expect(await importLayer(tar(...entries))).toBe("");
    const layer = describeTree(await daemon().dockerOk("image", "inspect", "-f", "{{.GraphDriver.Data.UpperDir}}", "attack"), {
      times: "s",
    });
    for (const [name, line] of Object.entries(holds)) expect(layer.get(name.replace(/^\.\//, ""))).toMatch(line);
    await daemon().dockerOk("rmi", "attack");
    expect(differences(untouched, describeTree(place.folder, { times: "ns" }))).toEqual([]);
  });
});

test("a bomb behind the archive's end is defused", async () => {
  expect(await importLayer(Buffer.concat([tar(file("f")), Buffer.alloc(80 * 1024 ** 2)]))).toContain("after its end");
});

/** Each symlink leads through the one before: a short name for a path as deep as one likes. */
function deepening(): Entry[] {
  const step = "deep/".repeat(100);
  const levels = Array.from({ length: 30 }, (_, level) => [
    folder(level === 0 ? step : `l${level - 1}/${step}`),
    link(`l${level}`, level === 0 ? step : `l${level - 1}/${step}`),
  ]);
  return levels.flat();
}

/** What went wrong; nothing: "". */
async function importLayer(archive: Buffer): Promise<string> {
  const answer = await daemon().api("POST", "/images/create?fromSrc=-&repo=attack", archive);
  // The shapes are the Engine API's.
  if (answer.status !== 200) return (answer.json() as { message: string }).message;
  return (JSON.parse(answer.text.trimEnd().split("\r\n").at(-1) ?? "") as { error?: string }).error ?? "";
}

import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";

import { afterEach, beforeEach, describe, expect, test } from "vitest";

import { TarReader } from "../../tar/tar-reader.ts";
import { tar, type Entry } from "../../testing/tar.ts";
import { findTarget, LocalTarget } from "./local-target.ts";

let place = "";
const here = (name: string): string => path.join(place, name);

beforeEach(() => {
  place = mkdtempSync(path.join(tmpdir(), "tsubo-target-"));
  mkdirSync(here("target"));
  mkdirSync(here("outside"));
  writeFileSync(here("outside/secret"), "secret");
});
afterEach(() => rmSync(place, { recursive: true }));

function unpack(...entries: Entry[]): void {
  const target = new LocalTarget(here("target"), (name) => name);
  try {
    const reader = new TarReader(target);
    reader.push(tar(...entries));
    reader.finish();
    target.finish();
  } finally {
    target.abandon();
  }
}

const link = (name: string, to: string): Entry => ({ name, type: "symlink", link: to });
const file = (name: string, content = "new"): Entry => ({ name, content });
const folder = (name: string, mode = 0o755): Entry => ({ name, type: "directory", mode });

test("files, folders and links as the archive has them", () => {
  unpack(folder("d/", 0o2750), { ...file("d/f"), mode: 0o4640, modifiedSeconds: 1_000_000_000 }, link("d/l", "../../outside/secret"), {
    name: "d/h",
    type: "hardlink",
    link: "d/f",
  });
  const found = lstatSync(here("target/d/f"));
  expect([found.mode & 0o7777, found.mtimeMs, found.nlink]).toEqual([0o4640, 1e12, 2]);
  expect(lstatSync(here("target/d")).mode & 0o7777).toBe(0o2750);
  expect(readlinkSync(here("target/d/l"))).toBe("../../outside/secret");
});

test("a file takes a file's or symlink's place, never what that leads to", () => {
  writeFileSync(here("target/old"), "old, and longer");
  symlinkSync(here("outside/secret"), here("target/link"));
  unpack(file("old"), file("link"));
  expect([readFileSync(here("target/old"), "utf8"), readFileSync(here("target/link"), "utf8")]).toEqual(["new", "new"]);
  expect(readFileSync(here("outside/secret"), "utf8")).toBe("secret");
});

describe("nothing outside is written:", () => {
  test.each<[string, RegExp, Entry[]]>([
    ["a name that leads up", /outside of/, [file("../outside/new")]],
    ["a name that leads down and up", /outside of/, [file("a/../../outside/new")]],
    ["a file below a symlink of the archive", /outside of/, [link("out", "../outside"), file("out/new")]],
    ["a folder below one", /outside of/, [link("out", "../outside"), folder("out/new/")]],
    ["a folder in the place of one", /cannot overwrite non-directory/, [link("out", "../outside"), folder("out/", 0o777)]],
    ["a hard link that leads up", /outside of/, [{ name: "h", type: "hardlink", link: "../outside/secret" }]],
    ["a hard link through a symlink", /outside of/, [link("out", "../outside"), { name: "h", type: "hardlink", link: "out/secret" }]],
    ["a file in a folder's place", /cannot overwrite directory/, [folder("d/"), file("d")]],
  ])("%s", (_what, message, entries) => {
    expect(() => unpack(...entries)).toThrow(message);
    expect(readdirSync(here("outside"))).toEqual(["secret"]);
  });
});

test("of a file that does not come whole nothing is left", () => {
  expect(() => unpack({ ...file("f"), sizeBytes: 2 ** 30 })).toThrow(/in the middle/);
  expect(existsSync(here("target/f"))).toBe(false);
});

test("a target is looked for behind symlinks, also where nothing is yet", () => {
  symlinkSync("target", here("l1"));
  symlinkSync("l1/new", here("l2"));
  symlinkSync("loop", here("loop"));
  symlinkSync("no/such", here("gone"));
  expect(findTarget(here("l1"))).toEqual({ path: here("target"), exists: true, isFolder: true });
  expect(findTarget(here("l2"))).toEqual({ path: here("l1/new"), exists: false, isFolder: false });
  expect(() => findTarget(here("loop"))).toThrow("too many symlinks");
  expect(() => findTarget(here("gone"))).toThrow(`stat ${here("no")}: no such file or directory`);
});

import { execFileSync } from "node:child_process";
import { linkSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import path from "node:path";

import { afterEach, beforeEach, expect, test } from "vitest";

import { IgnoreMatcher } from "../../base/ignore-file.ts";
import { packFolder } from "./pack.ts";

/** What GNU tar reads of it. */

let folder: string;

beforeEach(() => {
  folder = mkdtempSync("/tmp/tsubo-pack-");
});
afterEach(() => {
  rmSync(folder, { recursive: true });
});

function pack(ignored: readonly string[] = [], instead?: ReadonlyMap<string, Buffer>): Buffer {
  return Buffer.concat([...packFolder(folder, { ignore: new IgnoreMatcher(ignored), ...(instead && { instead }) })]);
}

function put(name: string, content: string | Buffer = name): void {
  const file = path.join(folder, name);
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, content);
  utimesSync(file, 1_600_000_000.9, 1_600_000_000.9);
}

const tar = (archive: Buffer, ...args: string[]): string =>
  execFileSync("tar", [...args, "-f", "-"], {
    input: archive,
    encoding: "utf8",
    maxBuffer: 64 * 1024 * 1024,
    env: { ...process.env, TZ: "UTC" },
  });

test("every kind of entry arrives: names of any length, links, times cut to seconds, owned by root", () => {
  const long = ["n".repeat(90), "m".repeat(90), "o".repeat(90)].join("/");
  for (const name of ["b", "a/b", "a.b", "é", long, "x".repeat(120), `${"p".repeat(30)}/${"q".repeat(90)}`]) put(name);
  symlinkSync("b", path.join(folder, "link"));
  symlinkSync("t".repeat(150), path.join(folder, "long-link"));
  linkSync(path.join(folder, "b"), path.join(folder, "second"));
  const archive = pack();
  expect(tar(archive, "-t", "--quoting-style=literal").trim().split("\n")).toEqual([
    "a/",
    "a/b",
    "a.b",
    "b",
    "link",
    "long-link",
    ...long.split("/").map((_, at, parts) => parts.slice(0, at + 1).join("/") + (at === 2 ? "" : "/")),
    `${"p".repeat(30)}/`,
    `${"p".repeat(30)}/${"q".repeat(90)}`,
    "second",
    "x".repeat(120),
    "é",
  ]);
  const details = tar(archive, "-tv", "--numeric-owner", "--full-time");
  expect(details).toMatch(/^-rw-r--r-- 0\/0 +1 2020-09-13 12:26:40 b$/m);
  expect(details).toMatch(/^hrw-r--r-- 0\/0 +0 .* second link to b$/m);
  expect(details).toContain(`long-link -> ${"t".repeat(150)}`);
  expect(tar(archive, "-x", "-O", long)).toBe(long);
});

test("content that is no multiple of anything is whole", () => {
  const content = Array.from({ length: 70_001 }, (_, at) => at).join("\n");
  put("big", content);
  put("next", "next");
  const archive = pack();
  expect(tar(archive, "-x", "-O", "big") === content).toBe(true);
  expect(tar(archive, "-x", "-O", "next")).toBe("next");
});

test("what is ignored stays, but for what is taken back", () => {
  for (const name of ["keep", "drop/a", "drop/b/c", "drop/b/d"]) put(name);
  expect(tar(pack(["drop", "!drop/b/c"]), "-t")).toBe("drop/b/c\nkeep\n");
});

test("files can be put in place of others", () => {
  put("old", "old");
  put("other", "other");
  const archive = pack([], new Map([["old", Buffer.from("new")]]));
  expect(tar(archive, "-t")).toBe("other\nold\n");
  expect(tar(archive, "-x", "-O", "old")).toBe("new");
});

test("a socket is left out", async () => {
  put("file");
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(path.join(folder, "socket"), resolve));
  try {
    expect(tar(pack(), "-t")).toBe("file\n");
  } finally {
    server.close();
  }
});

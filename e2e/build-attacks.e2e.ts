import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { gzipSync } from "node:zlib";
import { afterEach, beforeAll, describe, expect, test } from "vitest";

import { type Entry, tar } from "../src/testing/tar.ts";
import { build, context } from "./build/build.ts";
import { useDaemon } from "./harness.ts";
import { usePlace } from "./images/place.ts";
import { describeTree, differences } from "./images/tree.ts";

/**
 * Contexts and Dockerfiles that want out, or want too much. Each build fails with a message that names what is wrong, or does no harm; in no
 * case is anything outside read, made or changed, and the daemon lives on and stays small. (CVE-2014-6407, 2014-9357, 2018-15664, 2019-13139,
 * 2020-27534, 2024-23652, 2026-41567 and their like.)
 */

const daemon = useDaemon();
const place = usePlace();
const CANARY = place.file("canary");
const UP = "../".repeat(30);
const MAX_DAEMON_KB = 300 * 1024;

let untouched: Map<string, string>;
beforeAll(() => {
  mkdirSync(CANARY, { mode: 0o700 });
  writeFileSync(`${CANARY}/secret`, "canary's secret", { mode: 0o600 });
  untouched = describeTree(place.folder, { times: "ns" });
});

afterEach(async () => {
  expect(differences(untouched, describeTree(place.folder, { times: "ns" }))).toEqual([]);
  const status = readFileSync(`/proc/${daemon().pid()}/status`, "utf8");
  expect(Number(/VmHWM:\s+(\d+)/.exec(status)?.[1])).toBeLessThan(MAX_DAEMON_KB);
  expect((await daemon().api("GET", "/_ping")).status).toBe(200);
});

const link = (name: string, target: string): Entry => ({ name, type: "symlink", link: target });
const file = (name: string, more: Partial<Entry> = {}): Entry => ({ name, content: "evil", ...more });
const hardlink = (name: string, target: string): Entry => ({ name, type: "hardlink", link: target });
const COPY_ALL = `FROM busybox\nCOPY . /all/\nRUN test -z "$(find /all -type f -exec grep -l 'canary.s secre[t]' {} ';')"\n`;

describe("a context is refused with", () => {
  test.each<[string, RegExp, Entry[]]>([
    ["a name that leads up", /at "\.\.\/.*leads out/, [file(`${UP}${CANARY}/new`)]],
    ["a hard link that leads up", /leads out/, [hardlink("x", `${UP}${CANARY}/secret`)]],
    ["a hard link to what is not there", /"x": the file it is a hard link to is not in the context/, [hardlink("x", `${CANARY}/secret`)]],
    ["a file longer than the archive", /ends in the middle/, [file("x", { sizeBytes: 2 ** 32 })]],
    ["a name with a NUL", /NUL/, [file("x", { pax: { path: "a\0b" } })]],
    ["a path deeper than any kernel takes it", /the path is \d+ bytes long/, [file(`${"d/".repeat(100_000)}f`)]],
    ["a header that is none", /checksum|header/, [file("x", { flag: "\xff" }), file("y", { owner: [-1, 0] })]],
  ])("%s", async (_what, message, entries) => {
    const { error } = await build(daemon(), context(COPY_ALL, ...entries));
    expect(error).toMatch(message);
  });

  test.each<[string, Buffer]>([
    ["no archive at all", Buffer.from("x".repeat(2000))],
    ["half an archive", context(COPY_ALL, file("x", { content: Buffer.alloc(9000) })).subarray(0, 5000)],
    ["a broken gzip stream", gzipSync(context(COPY_ALL, file("x"))).subarray(0, 90)],
    ["a broken zstd stream", Buffer.from("28b52ffd00000000ffffffff", "hex")],
    ["an archive in a size no number has", tar(file("x", { pax: { size: "99999999999999999999" } }))],
  ])("%s", async (_what, archive) => {
    const { status, error } = await build(daemon(), archive);
    expect(error).not.toBe("");
    expect(status).toBeLessThanOrEqual(500);
  });
});

describe("a context does no harm with", () => {
  test.each<[string, Entry[]]>([
    ["an absolute name", [file(`${CANARY}/new`)]],
    ["symlinks to folders outside, absolute and relative", [link("out", CANARY), link("up", UP + CANARY)]],
    ["a file below a symlink to outside", [link("out", CANARY), file("out/new")]],
    ["a file below a magic link", [link("root", "/proc/self/root"), file(`root${CANARY}/new`)]],
    ["names of whiteouts", [file(".wh.bin"), file(".wh..wh..opq"), file("d/.wh..wh..opq"), file(".wh...")]],
    [
      "attributes that only overlayfs may set",
      [{ name: "d/", type: "directory", pax: { "SCHILY.xattr.trusted.overlay.redirect": CANARY } }],
    ],
    [
      "device nodes",
      [
        { name: "disk", type: "block", device: [254, 0] },
        { name: "pipe", type: "fifo" },
      ],
    ],
    ["the same entry again and again", Array.from({ length: 100 }, () => file("a"))],
  ])("%s", async (_what, entries) => {
    const { error } = await build(daemon(), context(COPY_ALL, ...entries));
    expect(error).toBe("");
  });
});

test.each<[string, string, Entry[]]>([
  ["a symlink named", "COPY out /x", [link("out", `${CANARY}/secret`)]],
  ["a symlink on the way", "COPY out/secret /x", [link("out", CANARY)]],
  ["a relative one", "COPY out/secret /x", [link("out", UP + CANARY)]],
  ["dots", `COPY ${UP}${CANARY}/secret /x`, []],
  ["ADD of a symlink to an archive", "ADD out /x/", [link("out", `${CANARY}/secret`)]],
])("COPY does not lead out of the context: %s", async (_what, instruction, entries) => {
  const { error } = await build(daemon(), context(`FROM busybox\n${instruction}\n`, ...entries));
  expect(error).toMatch(/no such file|not found|failed/i);
});

test("COPY does not lead out of the image", async () => {
  const dockerfile = `FROM busybox\nRUN ln -s ${CANARY} /out && ln -s ${UP}${CANARY} /up && ln -s /proc/self/root /magic\nCOPY x /out/\nCOPY x /up/new\nADD a.tar /magic${CANARY}/\nWORKDIR /out/made\n`;
  const { error } = await build(
    daemon(),
    context(dockerfile, file("x"), { name: "a.tar", content: tar(file("unpacked"), link("out", CANARY)) }),
  );
  expect(error).toBe("");
});

test.each<[string, Entry[]]>([
  ["a name that leads up", [file(`${UP}${CANARY}/new`)]],
  ["a file below a symlink to outside", [link("out", CANARY), file("out/new")]],
  ["a hard link to outside", [hardlink("secret", `${CANARY}/secret`)]],
])("ADD unpacks no archive with %s", async (_what, entries) => {
  const { error } = await build(daemon(), context("FROM busybox\nADD a.tar /x/\n", { name: "a.tar", content: tar(...entries) }));
  expect(error).toMatch(/^failed to copy files: /);
});

test.each<[string, Entry[], string]>([
  ["a symlink to outside", [link("Dockerfile", `${CANARY}/secret`)], ""],
  ["a symlink that leads up", [link("Dockerfile", `${UP}${CANARY}/secret`)], ""],
  ["named outside", [], `dockerfile=${encodeURIComponent(`${UP}${CANARY}/secret`)}`],
  ["a folder", [{ name: "Dockerfile/", type: "directory" }], ""],
  ["a FIFO", [{ name: "Dockerfile", type: "fifo" }], ""],
])("a Dockerfile that is %s", async (_what, entries, query) => {
  const { error } = await build(daemon(), tar(...entries), query);
  expect(error).not.toBe("");
  expect(error).not.toContain("canary's secret");
});

test("programs in the image that the builder might call are not called", async () => {
  const evil = `#!/bin/sh\necho evil > ${CANARY}/new\n`;
  const programs = ["xz", "gzip", "bzip2", "zstd", "tar", "unpigz"].map((name) => file(`bin/${name}`, { content: evil, mode: 0o755 }));
  const dockerfile =
    "FROM busybox\nRUN rm /bin/xz /bin/gzip /bin/bzip2 /bin/tar\nCOPY bin /usr/bin/\nADD a.tar.gz /x/\nRUN cat /x/inside\n";
  const { error, text } = await build(
    daemon(),
    context(dockerfile, ...programs, { name: "a.tar.gz", content: gzipSync(tar(file("inside"))) }),
  );
  expect(error).toBe("");
  expect(text).toContain("evil");
});

test.each([
  ["buildargs", "buildargs=nonsense"],
  ["labels", "labels=[1]"],
  ["labels that are no texts", `labels=${encodeURIComponent('{"a":1}')}`],
  ["a platform", "platform=a/b/c/d"],
  ["ulimits", "ulimits=x"],
  ["memory", "memory=much"],
  ["a name", "t=UPPER"],
  ["a signal for a network", "networkmode=container:nobody"],
])("a query with bad %s is refused", async (_what, query) => {
  const { status, error } = await build(daemon(), context("FROM busybox\nRUN true\n"), query);
  expect(error).not.toBe("");
  expect(status).toBeLessThan(500);
});

test.each<[string, string]>([
  ["a line without end", `FROM busybox\nRUN ${"x".repeat(3_000_000)}\n`],
  ["a million lines", `FROM busybox\n${"#\n".repeat(1_000_000)}FROB\n`],
  ["braces in braces", `FROM busybox\nENV A=${"${A:-".repeat(10_000)}x${"}".repeat(10_000)}\nRUN exit 1\n`],
  ["a value that doubles and doubles", `FROM busybox\nENV A=aaaaaaaaaa\n${"ENV A=$A$A$A$A$A$A$A$A\n".repeat(12)}RUN exit 1\n`],
  ["stages without number", `${"FROM busybox\n".repeat(5_000)}RUN exit 1\n`],
])("a Dockerfile with %s", async (_what, dockerfile) => {
  expect((await build(daemon(), context(dockerfile))).error).not.toBe("");
});

test("a bomb", { timeout: 60_000 }, async () => {
  const zeros = gzipSync(Buffer.alloc(64 * 1024 ** 2), { level: 9 });
  const bomb = gzipSync(tar(file("x")), { level: 9 });
  const { error } = await build(daemon(), Buffer.concat([bomb, ...Array.from({ length: 4 }, () => zeros)]));
  expect(error).toMatch(/after its end|swells/);
});

test("a million entries", { timeout: 120_000 }, async () => {
  const entries = millionEntries();
  const { error, text } = await build(
    daemon(),
    gzipSync(Buffer.concat([tar({ name: "Dockerfile", content: "FROM busybox\nCOPY 0000001 /\n" }).subarray(0, 1024), entries]), {
      level: 1,
    }),
  );
  expect(error).toBe("");
  expect(text).toContain("Successfully built");
});

function millionEntries(): Buffer {
  const count = 1_000_000;
  const header = tar({ name: "0000000", content: "" }).subarray(0, 512);
  const digits = Buffer.from("0000000");
  const base = header.reduce((sum, byte, at) => sum + (at >= 148 && at < 156 ? 32 : byte), 0);
  const all = Buffer.alloc(count * 512 + 1024);
  for (let index = 0; index < count; index += 1) {
    const at = index * 512;
    header.copy(all, at);
    all.write(String(index).padStart(digits.length, "0"), at, "latin1");
    let sum = base;
    for (let digit = 0; digit < digits.length; digit += 1) sum += (all[at + digit] ?? 0) - 48;
    all.write(`${sum.toString(8).padStart(6, "0")}\0 `, at + 148, "latin1");
  }
  return all;
}

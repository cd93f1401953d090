import { expect, test } from "vitest";

import { tar, type Entry } from "../../testing/tar.ts";
import { TarReader, type TarEntry } from "./tar-reader.ts";

interface Read extends Partial<TarEntry> {
  content?: string;
}

/** What is read of an archive that comes in pieces of `step` bytes. */
function read(archive: Buffer, step = 700): Read[] {
  const entries: (TarEntry & { content: string })[] = [];
  const reader = new TarReader({
    begin: (entry) => entries.push({ ...entry, content: "" }),
    data(bytes) {
      const last = entries.at(-1);
      if (last !== undefined) last.content += bytes.toString("latin1");
    },
    end: () => undefined,
  });
  for (let at = 0; at < archive.length; at += step) reader.push(archive.subarray(at, at + step));
  reader.finish();
  return entries;
}

const LONG = `${"long/".repeat(60)}name`;
const header = (entry: Partial<Entry>): Entry => ({ name: "x", ...entry });

test.each<[string, Entry[], Read[]]>([
  [
    "a file",
    [{ name: "f", content: "hi", mode: 0o4755, owner: [7, 8] }],
    [{ type: "file", mode: 0o4755, user: 7, group: 8, content: "hi" }],
  ],
  ["an old folder: a file with a slash", [{ name: "d/", flag: "\0" }], [{ type: "directory", name: "d/" }]],
  ["a device", [{ name: "c", type: "character", device: [5, 300] }], [{ type: "character", major: 5, minor: 300 }]],
  [
    "a hard link whose size is a lie",
    [{ name: "l", type: "hardlink", link: "f", sizeBytes: 9 }, { name: "g" }],
    [{ linkName: "f", sizeBytes: 0 }, { name: "g" }],
  ],
  ["a name that is no UTF-8", [{ name: "\u00ff" }], [{ name: "\u00ff" }]],
  [
    "PAX records",
    [
      { name: "short", pax: { path: LONG, uid: "70000", mtime: "-1.25", "SCHILY.xattr.user.a": Buffer.from([0, 61, 10]), size: "" } },
      { name: "g" },
    ],
    [
      {
        name: LONG,
        user: 70_000,
        modified: { seconds: -2, nanoseconds: 750_000_000 },
        attributes: new Map([["user.a", Buffer.from([0, 61, 10])]]),
      },
      { name: "g", user: 0, attributes: new Map() },
    ],
  ],
  [
    "GNU long names",
    [
      header({ flag: "L", content: `${LONG}\0` }),
      header({ flag: "K", content: `${LONG}/target\0` }),
      { name: "short", type: "symlink", link: "s" },
    ],
    [{ type: "symlink", name: LONG, linkName: `${LONG}/target` }],
  ],
  ["global records, which count for nothing", [header({ flag: "g", content: "19 path=elsewhere\n\n" }), { name: "f" }], [{ name: "f" }]],
])("%s", (_what, entries, expected) => {
  for (const step of [1, 511, 700, 1_000_000]) {
    const found = read(tar(...entries), step);
    expect(found).toHaveLength(expected.length);
    expect(found).toMatchObject(expected);
  }
});

test("an archive may end without its zeros, and go on with padding", () => {
  const archive = tar({ name: "f", content: "hi" });
  for (const whole of [archive.subarray(0, 1024), archive.subarray(0, 514), Buffer.concat([archive, Buffer.alloc(20_480)])]) {
    expect(read(whole)).toMatchObject([{ content: "hi" }]);
  }
  expect(read(Buffer.alloc(0))).toEqual([]);
});

test.each<[string, Buffer, string]>([
  ["no tar at all", Buffer.from("<html>".repeat(200)), "invalid tar header"],
  ["a body cut short", tar({ name: "f", content: "x".repeat(2000) }).subarray(0, 1500), "ends in the middle"],
  ["a header cut short", tar({ name: "f" }).subarray(0, 300), "ends in the middle"],
  ["a PAX header for nothing", tar({ name: "f", pax: { path: "x" } }).subarray(0, 1024), "ends in the middle"],
  ["a wrong checksum", Buffer.concat([Buffer.from("z"), tar({ name: "f" }).subarray(1)]), "invalid tar header"],
  ["a huge PAX header", tar(header({ flag: "x", sizeBytes: 2 ** 30 })), "an extended header of 1073741824 bytes"],
  ["a PAX record with a wrong length", tar(header({ flag: "x", content: "99 path=x\n" })), "a PAX record has a wrong length"],
  ["a PAX size that is no number", tar({ name: "f", pax: { size: "many" } }), "the PAX record size is not a number"],
  ["a negative PAX size", tar({ name: "f", pax: { size: "-1" } }), "negative size"],
  ["a NUL in a PAX name", tar({ name: "f", pax: { path: "a\0b" } }), "a name contains a NUL byte"],
  ["an owner out of range", tar({ name: "f", pax: { uid: "4294967296" } }), "out of range"],
  ["an unknown type", tar(header({ flag: "Z" })), 'is of the unknown type "Z"'],
  ["something after a block of zeros", Buffer.concat([Buffer.alloc(512), tar({ name: "f" })]), "goes on after a block of zeros"],
])("%s is refused", (_what, archive, message) => {
  for (const step of [1, 700, 1_000_000]) expect(() => read(archive, step)).toThrow(message);
});

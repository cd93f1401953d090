import { expect, test } from "vitest";

import { tar, type Entry } from "../testing/tar.ts";
import { EngineError } from "../base/errors.ts";
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
    hole(bytes) {
      const last = entries.at(-1);
      if (last !== undefined) last.content += ".".repeat(bytes);
    },
    end: () => undefined,
  });
  for (let at = 0; at < archive.length; at += step) reader.push(archive.subarray(at, at + step));
  reader.finish();
  return entries;
}

const LONG = `${"long/".repeat(60)}name`;
const sparse = (map: string | undefined, content = "xyz"): Buffer =>
  tar({
    name: "s",
    content,
    pax: { "GNU.sparse.size": "10", ...(map === undefined ? { "GNU.sparse.major": "1" } : { "GNU.sparse.map": map }) },
  });
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
  [
    "sparse files by PAX 0.0, 0.1 and 1.0",
    [
      { name: "a", content: "xyz", pax: { "GNU.sparse.size": "9", "GNU.sparse.offset": "1", "GNU.sparse.numbytes": "3" } },
      { name: "x", content: "xyz", pax: { "GNU.sparse.size": "9", "GNU.sparse.map": "0,1,4,2", "GNU.sparse.name": "b" } },
      { name: "c", content: `2\n1\n1\n6\n2\n`.padEnd(512, "\0") + "xyz", pax: { "GNU.sparse.major": "1", "GNU.sparse.realsize": "9" } },
      { name: "d", content: "0\n".padEnd(512, "\0"), pax: { "GNU.sparse.major": "1", "GNU.sparse.realsize": "3" } },
    ],
    [
      { type: "file", name: "a", sizeBytes: 9, content: ".xyz....." },
      { name: "b", content: "x...yz..." },
      { name: "c", content: ".x....yz." },
      { name: "d", content: "..." },
    ],
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
  ["a sparse map for more than is there", sparse("0,9"), "its map speaks of 9 bytes, and 3 are there"],
  ["a sparse map out of order", sparse("4,1,0,2"), "its map is out of order"],
  ["a sparse map beyond the end", sparse("9999,3"), "its map is out of order"],
  ["a sparse map of words", sparse("0,x"), "its map holds something that is no number"],
  ["a sparse map of odd length", sparse("0,1,2"), "its map holds something that is no number"],
  ["a sparse map that is longer than the file", sparse(undefined, "1000\n"), "negative size"],
  ["something after a block of zeros", Buffer.concat([Buffer.alloc(512), tar({ name: "f" })]), "goes on after a block of zeros"],
])("%s is refused", (_what, archive, message) => {
  for (const step of [1, 700, 1_000_000]) expect(() => read(archive, step)).toThrow(message);
});

test("whatever is changed in an archive, it is read or refused", () => {
  const whole = tar(
    { name: "d", type: "directory", pax: { path: LONG, uid: "7", "SCHILY.xattr.user.a": "b" } },
    { name: "f", content: "x".repeat(600) },
    {
      name: "s",
      content: "3\n1\n1\n6\n2\n8\n1\n".padEnd(512, "\0") + "wxyz",
      pax: { "GNU.sparse.major": "1", "GNU.sparse.realsize": "99" },
    },
    header({ flag: "L", content: LONG }),
    { name: "l", type: "hardlink", link: "f" },
  );
  let state = 1;
  const random = (below: number): number => (state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0) % below;
  const unexpected: unknown[] = [];
  for (let round = 0; round < 5000; round += 1) {
    const changed = Buffer.from(whole);
    for (let change = random(4); change >= 0; change -= 1)
      changed[random(changed.length)] = random(2) === 0 ? 0x30 + random(10) : random(256);
    // So that it is not only the checksum that is told.
    for (let block = 0; block + 512 <= changed.length; block += 512)
      if (changed.toString("latin1", block + 257, block + 262) === "ustar") seal(changed.subarray(block, block + 512));
    try {
      read(changed.subarray(0, random(8) === 0 ? random(changed.length) : changed.length), 1 + random(2000));
    } catch (error) {
      if (!(error instanceof EngineError)) unexpected.push(error);
    }
  }
  expect(unexpected).toEqual([]);
});

function seal(block: Buffer): void {
  block.write(" ".repeat(8), 148);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
}

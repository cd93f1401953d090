import { describe, expect, test } from "vitest";

import { packHeader, type PackedHeader } from "./pack-header.ts";

const FILE: PackedHeader = {
  typeFlag: "0",
  name: "file",
  linkName: "",
  mode: 0o644,
  user: 0,
  group: 0,
  sizeBytes: 5,
  modifiedSeconds: 1_600_000_000,
  major: 0,
  minor: 0,
};

/** The PAX records before a header; none: undefined. */
function recordsOf(header: Partial<PackedHeader>): string | undefined {
  const blocks = packHeader({ ...FILE, ...header });
  return blocks.length === 512 ? undefined : blocks.toString("latin1", 512, blocks.length - 512).replace(/\0+$/, "");
}

test("what fits is plain ustar, with the checksum as Go writes it", () => {
  const block = packHeader(FILE);
  expect(block.toString("latin1", 0, 100).replace(/\0+$/, "")).toBe("file");
  expect(block.toString("latin1", 100, 157)).toBe("0000644\x000000000\x000000000\x0000000000005\x0013727410000\x00010073\0 0");
  expect(block.toString("latin1", 257, 265)).toBe("ustar\x0000");
  expect(block.toString("latin1", 329, 345)).toBe("0000000\x000000000\x00");
});

describe("what does not fit is a record", () => {
  test.each<[string, Partial<PackedHeader>, string]>([
    ["a name that is not ASCII", { name: "\xc3\xbc" }, "11 path=\xc3\xbc\n"],
    ["a long name without a slash", { name: "n".repeat(101) }, `111 path=${"n".repeat(101)}\n`],
    ["a link to a long name", { typeFlag: "2", linkName: "l".repeat(101) }, `115 linkpath=${"l".repeat(101)}\n`],
    ["owners", { user: 3_000_000, group: 2_500_000 }, "15 gid=2500000\n15 uid=3000000\n"],
    ["a size of 8 GiB", { sizeBytes: 8 * 1024 ** 3 }, "19 size=8589934592\n"],
    ["a time before 1970", { modifiedSeconds: -5 }, "12 mtime=-5\n"],
    ["a time after 2242", { modifiedSeconds: 9_999_999_999 }, "20 mtime=9999999999\n"],
    ["an attribute", { attributes: new Map([["security.capability", Buffer.from("a\0b")]]) }, "40 SCHILY.xattr.security.capability=a\0b\n"],
  ])("%s", (_what, header, records) => {
    expect(recordsOf(header)).toBe(records);
  });
});

test.each([
  ["a long path that can be parted", `${"d".repeat(120)}/${"n".repeat(90)}`, undefined],
  ["one whose last part is too long", `d/${"n".repeat(101)}`, `113 path=d/${"n".repeat(101)}\n`],
  ["one whose folder is too long", `${"d".repeat(156)}/n`, `168 path=${"d".repeat(156)}/n\n`],
])("%s", (_what, name, records) => {
  expect(recordsOf({ name })).toBe(records);
});

test("a record has its header beside the file, and what is left of a name stays in the plain header", () => {
  const blocks = packHeader({ ...FILE, typeFlag: "5", name: `dir/${"\xc3\xbc".repeat(60)}/sub/` });
  expect(blocks.toString("latin1", 0, 100).replace(/\0+$/, "")).toBe("dir//sub/PaxHeaders.0");
  expect(blocks.toString("latin1", 156, 157)).toBe("x");
  expect(blocks.toString("latin1", blocks.length - 512, blocks.length - 412).replace(/\0+$/, "")).toBe("dir//sub/");
});

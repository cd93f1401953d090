import { gzipSync } from "node:zlib";

import { expect, test } from "vitest";

import { tar } from "../../testing/tar.ts";
import { isArchive, readStart } from "./sniff.ts";

const archive = tar({ name: "Dockerfile", content: "FROM scratch\n" });

test.each<[string, Buffer, boolean]>([
  ["a Dockerfile", Buffer.from("FROM busybox\n".repeat(100)), false],
  ["nothing", Buffer.alloc(0), false],
  ["zeros", Buffer.alloc(2048), false],
  ["a tar", archive, true],
  ["a tar with a PAX header first", tar({ name: "x".repeat(200) }), true],
  ["a gzip", gzipSync(archive), true],
  ["a zstd", Buffer.from("28b52ffd00", "hex"), true],
])("%s", (_, start, expected) => {
  expect(isArchive(start)).toBe(expected);
});

test("a stream is given back whole, however it is cut", async () => {
  for (const pieceBytes of [1, 100, 512, 5000]) {
    async function* pieces(): AsyncGenerator<Buffer> {
      for (let at = 0; at < archive.length; at += pieceBytes) yield archive.subarray(at, at + pieceBytes);
    }
    const { isArchive: found, whole } = await readStart(pieces());
    const got: Uint8Array[] = [];
    for await (const piece of whole) got.push(Buffer.from(piece));
    expect([found, Buffer.concat(got).equals(archive)]).toEqual([true, true]);
  }
});

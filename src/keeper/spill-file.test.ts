import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { frameHeader } from "./frames.ts";
import { SpillFile } from "./spill-file.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(path.join(os.tmpdir(), "spill-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

const frame = (text: string): Buffer => Buffer.concat([frameHeader("stdout", text.length), Buffer.from(text)]);

async function takeAll(spill: SpillFile): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for (let piece = await spill.take(); piece !== undefined; piece = await spill.take()) pieces.push(piece);
  return Buffer.concat(pieces);
}

test("gives back what was put in, in order, and has no name", async () => {
  const spill = new SpillFile(folder, true);
  const frames = Array.from({ length: 40 }, (_, index) => frame(`${index}`.repeat(20_000)));
  await Promise.all(frames.map((one) => spill.append(one)));
  expect(readdirSync(folder)).toEqual([]);
  expect((await takeAll(spill)).equals(Buffer.concat(frames))).toBe(true);
  expect(await spill.take()).toBeUndefined();
  spill.close();
});

test("what replaces the rest begins where a frame ends", async () => {
  const spill = new SpillFile(folder, true);
  const frames = Array.from({ length: 10 }, (_, index) => frame(`${index}`.repeat(100_000)));
  for (const one of frames) await spill.append(one);
  const begun = await spill.take();
  await spill.replaceRest(frame("the end"));
  const all = Buffer.concat([begun ?? Buffer.alloc(0), await takeAll(spill)]);
  const seen: string[] = [];
  for (let at = 0; at < all.length;) {
    const size = all.readUInt32BE(at + 4);
    seen.push(all.toString("utf8", at + 8, at + 8 + size));
    at += 8 + size;
  }
  expect(seen.at(-1)).toBe("the end");
  expect(seen.slice(0, -1).every((text) => text.length === 100_000)).toBe(true);
  expect(seen.length).toBeLessThan(10);
  spill.close();
});

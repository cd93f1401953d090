import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { gunzipSync, gzipSync } from "node:zlib";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { openLog } from "../base/log.ts";
import type { LogDestination } from "./keeper.ts";
import { LogWriter } from "./log-writer.ts";

let folder: string;
let file: string;
beforeEach(() => {
  folder = mkdtempSync(path.join(os.tmpdir(), "log-writer-"));
  file = path.join(folder, "x-json.log");
});
afterEach(() => {
  rmSync(folder, { recursive: true });
  rmSync(`${folder}.mark`, { force: true });
});

const log = openLog("test", "fatal");
type JsonFile = Extract<LogDestination, { driver: "json-file" }>;
const open = (options: Partial<JsonFile> = {}): LogWriter =>
  new LogWriter(
    { driver: "json-file", path: file, maxSizeBytes: undefined, maxFiles: 1, compress: false, ...options },
    `${folder}.mark`,
    log,
    async (source, target) => writeFileSync(target, gzipSync(readFileSync(source))),
  );
const textsOf = (content: string): string[] =>
  content
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => (JSON.parse(line) as { log: string }).log);

/** Hundred numbered lines, in pieces of ten, each record about 88 bytes. */
async function writeHundred(writer: LogWriter): Promise<string[]> {
  const lines = Array.from({ length: 100 }, (_, index) => `line ${String(index).padStart(4, "0")}\n`);
  for (let at = 0; at < 100; at += 10) await writer.write("stdout", Buffer.from(lines.slice(at, at + 10).join("")));
  await writer.close();
  return lines;
}

/** All that the log keeps, oldest first, whatever its files are called. */
function keptTexts(): string[] {
  const numberOf = (name: string): number => Number(/\.log\.(\d+)/.exec(name)?.[1] ?? 0);
  const names = readdirSync(folder).toSorted((a, b) => numberOf(b) - numberOf(a));
  return names.flatMap((name) => {
    const content = readFileSync(path.join(folder, name));
    return textsOf((name.endsWith(".gz") ? gunzipSync(content) : content).toString());
  });
}

/** Compression goes on after the log was closed. */
async function isCompressed(): Promise<void> {
  await expect.poll(() => readdirSync(folder).filter((name) => !/\.log$|\.gz$/.test(name)), { timeout: 10_000 }).toEqual([]);
}

describe("rotation", () => {
  test("ends a file with the record that reaches the size, and keeps so many files", async () => {
    const lines = await writeHundred(open({ maxSizeBytes: 1000, maxFiles: 3 }));
    expect(readdirSync(folder).toSorted()).toEqual(["x-json.log", "x-json.log.1", "x-json.log.2"]);
    for (const name of ["x-json.log.1", "x-json.log.2"]) {
      const content = readFileSync(path.join(folder, name), "utf8");
      const last = content.trimEnd().lastIndexOf("\n") + 1;
      expect(content.length).toBeGreaterThanOrEqual(1000);
      expect(last).toBeLessThan(1000);
    }
    const kept = ["x-json.log.2", "x-json.log.1", "x-json.log"].flatMap((name) => textsOf(readFileSync(path.join(folder, name), "utf8")));
    expect(kept).toEqual(lines.slice(-kept.length));
  });

  test("compresses what was rotated", async () => {
    const lines = await writeHundred(open({ maxSizeBytes: 2000, maxFiles: 5, compress: true }));
    await isCompressed();
    const names = readdirSync(folder).toSorted();
    expect(names).toEqual(["x-json.log", "x-json.log.1.gz", "x-json.log.2.gz", "x-json.log.3.gz"]);
    expect(keptTexts()).toEqual(lines);
  });

  test("by size in all, keeps the newest that fit", async () => {
    const writer = open({ maxSizeBytes: 20_000, maxFiles: 100, compress: true, maxTotalBytes: 60_000 });
    const lines = Array.from({ length: 20_000 }, (_, index) => `line ${String(index).padStart(9, "0")}\n`);
    for (let at = 0; at < lines.length; at += 100) await writer.write("stdout", Buffer.from(lines.slice(at, at + 100).join("")));
    await writer.close();
    await isCompressed();
    const kept = keptTexts();
    expect(kept).toEqual(lines.slice(-kept.length));
    const sizeBytes = readdirSync(folder).reduce((sum, name) => sum + statSync(path.join(folder, name)).size, 0);
    expect(sizeBytes).toBeLessThanOrEqual(60_000);
    // Several times as many records, of more than 70 bytes, as would be there uncompressed.
    expect(kept.length * 70).toBeGreaterThan(3 * 60_000);
  });

  test("goes on from wherever a keeper was killed in it", async () => {
    const content = (from: number): string =>
      Array.from({ length: 10 }, (_, index) => `{"log":"${from + index}\\n","stream":"stdout","time":"2026-01-01T00:00:00Z"}\n`).join("");
    const put = (name: string, from: number, compress = false): void =>
      writeFileSync(`${file}${name}`, compress ? gzipSync(content(from)) : content(from));
    // Compressed and not yet removed; half compressed; moved up to leave a number free; the log itself not made anew.
    put(".5.gz", 0, true);
    put(".4", 10);
    put(".4.gz", 10, true);
    writeFileSync(`${file}.gz.tmp`, gzipSync(content(20)).subarray(0, 20));
    put(".3", 20);
    put(".1", 30);
    const writer = open({ maxSizeBytes: 1000, maxFiles: 8, compress: true });
    const lines = Array.from({ length: 30 }, (_, index) => `${40 + index}\n`);
    for (const line of lines) await writer.write("stdout", Buffer.from(line));
    await writer.close();
    await isCompressed();
    expect(keptTexts()).toEqual([...Array(40).keys()].map((number) => `${number}\n`).concat(lines));
  });

  test("takes from the pipe, file by file, just what the file before has", async () => {
    const writer = open({ maxSizeBytes: 30_000, maxFiles: 1000 });
    const output = Buffer.concat(
      Array.from({ length: 60 }, (_, index) => [
        Buffer.from(`${index} ${"é漢x".repeat((index * 137) % 900)}\n`),
        Buffer.alloc((index * 4099) % 40_000, index % 7 === 0 ? 0xff : "y"),
        Buffer.from("\n".repeat(index % 4)),
      ]).flat(),
    );
    const carriedBytes = 10;
    let takenBytes = carriedBytes;
    const take = (sizeBytes: number): void => {
      takenBytes += sizeBytes;
      // What is in the log by now, and what it was made of.
      const written = keptTexts().join("");
      expect(Buffer.from(written).equals(Buffer.from(output.subarray(0, takenBytes).toString()))).toBe(true);
    };
    await writer.write("stdout", output.subarray(0, -1), { carriedBytes, bytes: output.subarray(carriedBytes, -1), take });
    await writer.close();
    expect(takenBytes).toBe(output.length - 1);
    expect(readdirSync(folder).length).toBeGreaterThan(20);
  });

  test("with a single file starts it anew", async () => {
    const lines = await writeHundred(open({ maxSizeBytes: 1000, maxFiles: 1 }));
    expect(readdirSync(folder)).toEqual(["x-json.log"]);
    const kept = textsOf(readFileSync(file, "utf8"));
    expect(kept).toEqual(lines.slice(-kept.length));
  });
});

test("a record that was not finished is cut off, a whole log goes on", async () => {
  const whole = '{"log":"a\\n","stream":"stdout","time":"2026-01-01T00:00:00Z"}\n';
  writeFileSync(file, `${whole}{"log":"b`);
  const writer = open();
  await writer.write("stdout", Buffer.from("c\n"));
  await writer.close();
  expect(textsOf(readFileSync(file, "utf8"))).toEqual(["a\n", "c\n"]);
});

import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { gunzipSync } from "node:zlib";
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
    const names = readdirSync(folder).toSorted();
    expect(names).toEqual(
      ["x-json.log", "x-json.log.1.gz", "x-json.log.2.gz", "x-json.log.3.gz", "x-json.log.4.gz"].slice(0, names.length),
    );
    const older = names.slice(1).toReversed();
    const kept = older.flatMap((name) => textsOf(gunzipSync(readFileSync(path.join(folder, name))).toString()));
    expect([...kept, ...textsOf(readFileSync(file, "utf8"))]).toEqual(lines);
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

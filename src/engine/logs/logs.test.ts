import {
  appendFileSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { gzipSync } from "node:zlib";
import { afterEach, beforeEach, expect, test } from "vitest";

import { parseTimestamp } from "../../base/time.ts";
import { type LogsRequest, readLogs } from "./logs.ts";

let folder: string;
let log: string;
let complete: AbortController;
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), "tsubo-logs-"));
  log = path.join(folder, "x-json.log");
  complete = new AbortController();
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const ALL: LogsRequest = {
  follow: false,
  stdout: true,
  stderr: true,
  sinceNs: undefined,
  untilNs: undefined,
  timestamps: false,
  details: false,
  tail: undefined,
};

function record(text: string, time = "2024-02-29T12:00:00.5Z"): string {
  return `${JSON.stringify({ log: text, stream: "stdout", time })}\n`;
}

function numbered(from: number, to: number): string {
  // A time apiece, as the keeper's are.
  return Array.from({ length: to - from }, (_, index) =>
    record(`${from + index}\n`, `2024-02-29T12:00:00.${String(from + index).padStart(9, "0")}Z`),
  ).join("");
}

function numbers(from: number, to: number): string {
  return Array.from({ length: to - from }, (_, index) => `${from + index}\n`).join("");
}

function open(request: Partial<LogsRequest> = {}, signal?: AbortSignal): AsyncGenerator<Uint8Array> {
  return readLogs({ path: log, tty: true, complete: complete.signal }, { ...ALL, ...request }, signal);
}

async function read(request: Partial<LogsRequest> = {}, signal?: AbortSignal): Promise<string> {
  return rest(open(request, signal));
}

async function first(reader: AsyncGenerator<Uint8Array>): Promise<string> {
  return Buffer.from((await reader.next()).value ?? "").toString();
}

async function rest(reader: AsyncGenerator<Uint8Array>): Promise<string> {
  const parts: Uint8Array[] = [];
  for await (const part of reader) parts.push(Buffer.from(part));
  return Buffer.concat(parts).toString();
}

/** Resolves when the reader has `file` open: it will have what is in there, whatever becomes of the name. */
async function isOpen(file: string): Promise<void> {
  await expect.poll(openFiles, { timeout: 10_000 }).toContain(file);
}

function openFiles(): string[] {
  return readdirSync("/proc/self/fd").flatMap((descriptor) => {
    try {
      return [readlinkSync(`/proc/self/fd/${descriptor}`)];
    } catch {
      return []; // Closed since.
    }
  });
}

/** As the keeper rotates. */
function rotate(files: number, compress = false): void {
  const extension = compress ? ".gz" : "";
  for (let index = files - 1; index > 1; index -= 1) {
    try {
      renameSync(`${log}.${index - 1}${extension}`, `${log}.${index}${extension}`);
    } catch {
      // Not that many yet.
    }
  }
  renameSync(log, `${log}.1`);
  writeFileSync(log, "");
}

test("no file: nothing was written", async () => {
  complete.abort();
  expect(await read()).toBe("");
  expect(await read({ tail: 3 })).toBe("");
});

test("all files, the oldest first, compressed ones too", async () => {
  complete.abort();
  writeFileSync(`${log}.10.gz`, gzipSync(numbered(0, 5)));
  writeFileSync(`${log}.9.gz`, gzipSync(numbered(5, 1000)));
  writeFileSync(`${log}.1`, numbered(1000, 1002));
  // While a file is compressed, both are there: they are the same.
  writeFileSync(`${log}.1.gz`, gzipSync(numbered(1000, 1002)));
  writeFileSync(`${log}.1.gz.tmp`, "half");
  writeFileSync(log, numbered(1002, 1003));
  expect(await read()).toBe(numbers(0, 1003));
});

test("tail: from whichever file the lines begin in", async () => {
  complete.abort();
  writeFileSync(`${log}.3.gz`, gzipSync(numbered(0, 10)));
  writeFileSync(`${log}.2.gz`, gzipSync(numbered(10, 20)));
  writeFileSync(`${log}.1`, numbered(20, 5000));
  writeFileSync(log, numbered(5000, 5002));
  for (const tail of [0, 1, 2, 3, 4000, 4981, 4982, 4983, 4992, 4993, 5002, 6000]) {
    expect(await read({ tail })).toBe(numbers(Math.max(0, 5002 - tail), 5002));
  }
});

test("tail counts lines, not the records of a long one; what has no newline yet is a line", async () => {
  complete.abort();
  const long = "y".repeat(16_384);
  writeFileSync(log, record("first\n") + record(long) + record(long) + record("end\n") + record("a\\n\\") + record("\n") + record("open"));
  expect(await read({ tail: 1 })).toBe("open");
  expect(await read({ tail: 2 })).toBe("a\\n\\\nopen");
  expect(await read({ tail: 3 })).toBe(`${long}${long}end\na\\n\\\nopen`);
  expect(await read({ tail: 4 })).toMatch(/^first\n/);
  writeFileSync(log, record("only\n").repeat(3) + "damaged\n" + record("last\n"));
  expect(await read({ tail: 1 })).toBe("last\n");
});

test("since and until", async () => {
  complete.abort();
  writeFileSync(log, [1, 2, 3, 4].map((second) => record(`${second}\n`, `2024-02-29T12:00:0${second}Z`)).join(""));
  const [sinceNs, untilNs] = [parseTimestamp("2024-02-29T12:00:02Z"), parseTimestamp("2024-02-29T12:00:03Z")];
  expect(await read({ sinceNs, untilNs })).toBe("2\n3\n");
  expect(await read({ sinceNs, tail: 2 })).toBe("3\n4\n");
});

test("a log that is being written: no follow, no complaint about the record under way", async () => {
  writeFileSync(log, record("whole\n") + record("half\n").slice(0, 30));
  expect(await read()).toBe("whole\n");
  complete.abort();
  expect(await read()).toBe("whole\ntsubo: 30 bytes of the log are damaged and left out here\n");
});

test("follow: what comes, in whatever pieces, until the log is complete", async () => {
  writeFileSync(log, numbered(0, 3));
  const reading = read({ follow: true, tail: 1 });
  await sleep(20);
  const text = numbered(3, 50);
  for (let at = 0; at < text.length; at += 1000) {
    appendFileSync(log, text.slice(at, at + 1000));
    await sleep(2);
  }
  appendFileSync(log, numbered(50, 60));
  complete.abort();
  expect(await reading).toBe(numbers(2, 60));
});

test("follow of a log that is complete ends at once, of one not there yet waits for it", async () => {
  const reading = read({ follow: true });
  await sleep(20);
  writeFileSync(log, numbered(0, 2));
  await sleep(20);
  complete.abort();
  expect(await reading).toBe(numbers(0, 2));
  expect(await read({ follow: true })).toBe(numbers(0, 2));
});

test.each([false, true])("follow across rotations: nothing lost, nothing twice (compressed: %s)", async (compress) => {
  writeFileSync(log, numbered(0, 10));
  const reading = read({ follow: true });
  let next = 10;
  for (let round = 0; round < 30; round += 1) {
    const count = 1 + (round % 7) * 40;
    appendFileSync(log, numbered(next, next + count));
    next += count;
    if (round % 3 === 0) await sleep(3);
    rotate(40, compress);
    if (compress) {
      writeFileSync(`${log}.1.gz`, gzipSync(readFileSync(`${log}.1`)));
      if (round % 3 !== 1) await sleep(3);
      rmSync(`${log}.1`);
    } else if (round % 2 === 0) await sleep(5);
  }
  complete.abort();
  expect(await reading).toBe(numbers(0, next));
});

test("a client that does not read for a while gets all of it, although files were deleted meanwhile", async () => {
  writeFileSync(log, numbered(0, 10));
  const reader = open({ follow: true });
  expect(await first(reader)).toBe(numbers(0, 10));
  for (let round = 1; round < 8; round += 1) {
    rotate(4);
    appendFileSync(log, numbered(round * 10, round * 10 + 10));
    await isOpen(log);
  }
  complete.abort();
  expect(await rest(reader)).toBe(numbers(10, 80));
});

test("files that are gone before they could be read are told", async () => {
  writeFileSync(log, numbered(0, 10));
  const reader = open({ follow: true });
  expect(await first(reader)).toBe(numbers(0, 10));
  // All in one turn of the loop: nobody can have seen the ones between.
  for (let round = 1; round < 8; round += 1) {
    rotate(2);
    appendFileSync(log, numbered(round * 10, round * 10 + 10));
  }
  complete.abort();
  expect(await rest(reader)).toBe(`tsubo: the log was rotated faster than it was read: lines may be missing here\n${numbers(60, 80)}`);
});

test("follow of a log of one file that is cut to nothing, and has grown beyond its old size when that is seen", async () => {
  writeFileSync(log, numbered(0, 10));
  const reader = open({ follow: true });
  expect(await first(reader)).toBe(numbers(0, 10));
  truncateSync(log);
  appendFileSync(log, numbered(10, 40));
  expect(await first(reader)).toBe(numbers(10, 40));
  truncateSync(log);
  appendFileSync(log, numbered(40, 41));
  complete.abort();
  expect(await rest(reader)).toBe(numbers(40, 41));
});

test("follow ends at `until`, and at once when the client goes", async () => {
  writeFileSync(log, numbered(0, 2));
  expect(await read({ follow: true, untilNs: BigInt(Date.now() + 30) * 1_000_000n })).toBe(numbers(0, 2));
  const client = new AbortController();
  const reading = read({ follow: true }, client.signal);
  await sleep(20);
  client.abort();
  expect(await reading).toBe(numbers(0, 2));
});

test("a reader that is left half-way lets go of its files", async () => {
  writeFileSync(log, numbered(0, 50_000));
  const reader = open({ follow: true });
  await first(reader);
  expect(openFiles()).toContain(log);
  await reader.return(undefined);
  expect(openFiles()).not.toContain(log);
});

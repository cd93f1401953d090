import { readdirSync, rmSync, statSync } from "node:fs";
import { open, rename, rm } from "node:fs/promises";
import path from "node:path";
import { KeyedLock } from "../base/locks.ts";
import { codeOf, messageOf } from "../base/errors.ts";
import { failpoint } from "../base/failpoint.ts";
import type { Log } from "../base/log.ts";
import type { LogDestination } from "./keeper.ts";
import type { Compress } from "./log-compress.ts";

/**
 * What rotation has made of a log: `LOG.1`, `LOG.2`, …, the highest number the oldest, each with `.gz` once it is compressed. Files come at
 * the front, move up by renaming, and go at the back when there are too many or they take too much of the disk; so what is kept is
 * always the newest part of the output, without a hole.
 *
 * Compression never holds up the container: what was rotated waits for it as it is, beyond the limit of the whole log if need be, up to
 * MAX_WAITING_BYTES; then the oldest goes uncompressed. One file at a time is compressed in all the keeper, from the oldest on, and
 * that goes on after the container has ended.
 *
 * A keeper may be killed between any two steps: a file has one name or, for a moment, a whole `.gz` beside it; a number that is missing is
 * filled by the next rotation.
 */
export type JsonFile = Extract<LogDestination, { driver: "json-file" }>;

interface RotatedFile {
  number: number;
  sizeBytes: number;
  /** Plain: it is not to be compressed, or could not be. */
  form: "plain" | "waiting" | "compressed";
}

export const LOG_MODE = 0o640;
const MAX_WAITING_BYTES = 100_000_000;

/** Logs that are being compressed, by path: a container that starts again meanwhile goes on with the same. */
const compressing = new Map<string, RotatedFiles>();
const oneAtATime = new KeyedLock();

export function openRotatedFiles(destination: JsonFile, log: Log, compress: Compress): RotatedFiles {
  return compressing.get(destination.path) ?? new RotatedFiles(destination, log, compress);
}

export class RotatedFiles {
  readonly #destination: JsonFile;
  readonly #log: Log;
  readonly #compressor: Compress;
  /** Newest first. */
  #files: RotatedFile[];
  /** Names change one after another. */
  #renaming: Promise<unknown> = Promise.resolve();

  constructor(destination: JsonFile, log: Log, compress: Compress) {
    this.#destination = destination;
    this.#log = log;
    this.#compressor = compress;
    this.#files = findFiles(destination);
  }

  /** Makes the log itself the newest of these. Its name is free then. */
  add(sizeBytes: number): Promise<void> {
    return this.#alone(async () => {
      const { path: log, compress } = this.#destination;
      await this.#makeRoom(0);
      failpoint("log.rotate.shifted");
      await rename(log, `${log}.1`);
      this.#files.unshift({ number: 1, sizeBytes, form: compress ? "waiting" : "plain" });
      await this.#removeExcess();
    });
  }

  /** Takes back the newest: there could be no new log in its place. */
  takeBack(): Promise<void> {
    return this.#alone(async () => {
      const { path: log } = this.#destination;
      await rename(`${log}.1`, log);
      this.#files.shift();
    });
  }

  /** Compresses what waits for it, if that is not under way. */
  compress(): void {
    const { path: log } = this.#destination;
    if (compressing.has(log) || this.#nextWaiting() === undefined) return;
    compressing.set(log, this);
    void this.#compressAll().finally(() => compressing.delete(log));
  }

  async #compressAll(): Promise<void> {
    for (let file = this.#nextWaiting(); file !== undefined; file = this.#nextWaiting()) {
      const next = file;
      try {
        await oneAtATime.run("", () => this.#compress(next));
      } catch (error) {
        next.form = "plain";
        await rm(temporaryOf(this.#destination), { force: true });
        // Gone with its container.
        if (codeOf(error) !== "ENOENT")
          this.#log.warn({ file: this.#nameOf(next), error: messageOf(error) }, "a rotated log is not compressed");
      }
    }
  }

  async #compress(file: RotatedFile): Promise<void> {
    const temporary = temporaryOf(this.#destination);
    await using source = await this.#alone(() => open(this.#nameOf(file), "r"));
    await using target = await open(temporary, "w", LOG_MODE);
    await this.#compressor(source.fd, target.fd);
    await target.datasync();
    const { size: sizeBytes } = await target.stat();
    failpoint("log.compress.written");
    await this.#alone(async () => {
      if (!this.#files.includes(file)) return rm(temporary, { force: true });
      const name = this.#nameOf(file);
      await rename(temporary, `${name}.gz`);
      try {
        failpoint("log.compress.renamed");
        await rm(name);
      } catch (error) {
        await rm(`${name}.gz`);
        throw error;
      }
      Object.assign(file, { form: "compressed", sizeBytes });
      await this.#removeExcess();
    });
  }

  #nextWaiting(): RotatedFile | undefined {
    return this.#files.findLast(({ form }) => form === "waiting");
  }

  /** Frees the number after `number`, by moving the file there, and first the one that is in its way. */
  async #makeRoom(number: number): Promise<void> {
    const file = this.#files.find((candidate) => candidate.number === number + 1);
    if (file === undefined) return;
    await this.#makeRoom(file.number);
    const from = this.#nameOf(file);
    file.number += 1;
    await rename(from, this.#nameOf(file));
  }

  async #removeExcess(): Promise<void> {
    const kept = countKept(this.#files, this.#destination);
    while (this.#files.length > kept) {
      const oldest = this.#files.pop();
      if (oldest !== undefined) await rm(this.#nameOf(oldest), { force: true });
    }
  }

  #nameOf({ number, form }: RotatedFile): string {
    return `${this.#destination.path}.${number}${form === "compressed" ? ".gz" : ""}`;
  }

  #alone<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#renaming.then(work);
    this.#renaming = result.catch(() => undefined);
    return result;
  }
}

/** How many of the files, newest first, may stay. */
function countKept(files: readonly RotatedFile[], { maxFiles, maxSizeBytes = 0, maxTotalBytes = Infinity }: JsonFile): number {
  // The log itself is one of them, and as large as it may become.
  const mostFiles = maxFiles - 1;
  let totalBytes = maxSizeBytes;
  let waitingBytes = 0;
  for (const [index, { sizeBytes, form }] of files.entries()) {
    if (form === "waiting") waitingBytes += sizeBytes;
    else totalBytes += sizeBytes;
    if (index >= mostFiles || totalBytes > maxTotalBytes || waitingBytes > MAX_WAITING_BYTES) return index;
  }
  return files.length;
}

/** What is there, mended where an earlier keeper was killed: newest first. */
function findFiles(destination: JsonFile): RotatedFile[] {
  const folder = path.dirname(destination.path);
  const prefix = `${path.basename(destination.path)}.`;
  rmSync(temporaryOf(destination), { force: true });
  const byNumber = new Map<number, RotatedFile>();
  for (const name of readdirSync(folder)) {
    const match = name.startsWith(prefix) ? /^([1-9]\d*)(\.gz)?$/.exec(name.slice(prefix.length)) : null;
    if (match === null) continue;
    const number = Number(match[1]);
    const isCompressed = match[2] !== undefined;
    if (byNumber.has(number)) {
      // Its `.gz` is whole; only the removal was missing.
      rmSync(path.join(folder, `${prefix}${number}`));
      if (!isCompressed) continue;
    }
    const { size } = statSync(path.join(folder, name));
    byNumber.set(number, { number, sizeBytes: size, form: isCompressed ? "compressed" : destination.compress ? "waiting" : "plain" });
  }
  return [...byNumber.values()].toSorted((a, b) => a.number - b.number);
}

function temporaryOf({ path: log }: JsonFile): string {
  return `${log}.gz.tmp`;
}

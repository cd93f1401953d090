import { formatLogTime, nowNs } from "../../base/time.ts";
import { LogDecoder } from "./log-decoder.ts";
import { closeLogFiles, type LogFile, openLogFiles, openRotated } from "./log-files.ts";
import { findTail } from "./log-tail.ts";
import { LogWatch } from "./log-watch.ts";
import { takeLoopShare } from "./loop-share.ts";
import { beginning, type Position, readCompressed, readPlain } from "./read-file.ts";

/**
 * Logs: what a container wrote, read back. The keeper writes them (`keeper/log-writer.ts`), in Docker's json-file format and rotation; this
 * folder only reads, and keeps no state but that of a reading under way.
 *
 * Words: a *log* is `ID-json.log` with what rotation made of it, `.1`, `.2`, … (or `.1.gz`), the highest number the oldest; a *record* is
 * a line of such a file; a *line* is what the container ended with a newline, in one record or several; a log is *complete* when its
 * container has ended and the keeper has written the last of its output.
 *
 * The recipe: open all files (a rotation after that moves names, not what we read), find where to begin (`log-tail.ts`), decode block by
 * block (`json-record.ts`, `log-decoder.ts`), and when following go on as the file grows or is replaced, until the log is complete. A
 * block of 256 KiB keeps the event loop for less than a millisecond and the next is read off it, so that a log of any size needs neither
 * a worker nor memory; all readings together keep it for a few milliseconds a turn (`loop-share.ts`).
 */
export interface LogSource {
  path: string;
  tty: boolean;
  /** Aborted: nothing more will be written. For a container that does not run, from the start. */
  complete: AbortSignal;
}

/** What a client wants to read: `GET /containers/{id}/logs`. */
export interface LogsRequest {
  follow: boolean;
  stdout: boolean;
  stderr: boolean;
  sinceNs: bigint | undefined;
  untilNs: bigint | undefined;
  timestamps: boolean;
  details: boolean;
  /** Undefined: all. */
  tail: number | undefined;
  /**
   * Several messages may share a frame. Only for a client that is known to take the stream as bytes (the docker CLI: 650,000 lines cost it
   * 0.1 s instead of 1.5); many libraries take one frame for one line.
   */
  mergeFrames?: boolean | undefined;
}

/** Rotated files that wait, open, for a client that is slow to read: each keeps its space on the disk. */
const MAX_WAITING_FILES = 16;
/** A record is written a little later than its time says. */
const UNTIL_GRACE_MS = 100;
const MAX_TIMER_MS = 2 ** 31 - 1;

/** What a client that asked for `request` reads: frames, or bare text on a terminal. Ends at the log's end or, following, its completion. */
export async function* readLogs(source: LogSource, request: LogsRequest, signal?: AbortSignal): AsyncGenerator<Uint8Array> {
  const { sinceNs, untilNs, tail } = request;
  const decoder = new LogDecoder({
    ...request,
    tty: source.tty,
    mergeFrames: request.mergeFrames ?? false,
    since: sinceNs === undefined ? undefined : formatLogTime(sinceNs),
    until: untilNs === undefined ? undefined : formatLogTime(untilNs),
  });
  await using reading = new Reading(source, request.follow, untilNs, signal);
  await reading.open();
  const start = tail === undefined ? { fileIndex: 0, offset: 0, skipLines: 0 } : await findTail(reading.waiting, tail);
  await reading.skipFiles(start.fileIndex);
  decoder.skipLines(start.skipLines);
  let position = beginning(start.offset);

  for (let file = await reading.next(); file !== undefined; file = await reading.next()) {
    for (let pass = 0; ; pass += 1) {
      const rest = await reading.afterwards();
      for await (const block of blocksOf(file, position, pass)) {
        await takeLoopShare();
        const output = decoder.push(block);
        if (output.length > 0) yield output;
        if (decoder.isDone || signal?.aborted === true) return;
      }
      if (rest === "more files") break;
      if (rest === "nothing") {
        const output = decoder.endFile(source.complete.aborted);
        if (output.length > 0) yield output;
        return;
      }
      await reading.wait();
      if (signal?.aborted === true) return;
    }
    position = beginning();
    const output = decoder.endFile(true);
    if (output.length > 0) yield output;
    if (reading.takeGap()) yield decoder.note("the log was rotated faster than it was read: lines may be missing here");
  }
}

/** What a file has from `position` on; a compressed one is read once and never grows. */
function blocksOf(file: LogFile, position: Position, pass: number): AsyncIterable<Buffer> | Buffer[] {
  if (!file.isCompressed) return readPlain(file, position);
  return pass === 0 ? readCompressed(file) : [];
}

/** The files of one reading, those to come included. */
class Reading {
  readonly waiting: LogFile[] = [];
  readonly #source: LogSource;
  readonly #signal: AbortSignal | undefined;
  readonly #watch: LogWatch | undefined;
  readonly #untilTimer: NodeJS.Timeout | undefined;
  #current: LogFile | undefined;
  #isOver: boolean;
  #hasGap = false;
  #lookingForNew: Promise<void> = Promise.resolve();

  constructor(source: LogSource, follow: boolean, untilNs: bigint | undefined, signal: AbortSignal | undefined) {
    this.#source = source;
    this.#signal = signal;
    this.#isOver = !follow;
    if (!follow) return;
    const signals = signal === undefined ? [source.complete] : [source.complete, signal];
    this.#watch = new LogWatch(source.path, signals, () => void this.#lookForNew().catch(() => undefined));
    if (untilNs === undefined) return;
    const waitMs = Math.max(0, Number((untilNs - nowNs()) / 1_000_000n)) + UNTIL_GRACE_MS;
    this.#untilTimer = setTimeout(
      () => {
        this.#isOver = true;
        this.#watch?.notify();
      },
      Math.min(waitMs, MAX_TIMER_MS),
    );
  }

  /** A container that is just being started may have none yet. */
  async open(): Promise<void> {
    this.waiting.push(...(await openLogFiles(this.#source.path)));
    while (this.waiting.length === 0 && !this.#isOver && !this.#source.complete.aborted && this.#signal?.aborted !== true) {
      await this.wait();
      this.waiting.push(...(await openLogFiles(this.#source.path)));
    }
  }

  async skipFiles(count: number): Promise<void> {
    await closeLogFiles(this.waiting.splice(0, count));
  }

  /** The next file to read; closes the one before. */
  async next(): Promise<LogFile | undefined> {
    const before = this.#current;
    this.#current = this.waiting.shift();
    await before?.handle.close();
    return this.#current;
  }

  /** What there will be when the current file is read to the end that it has after this call. */
  async afterwards(): Promise<"more files" | "nothing" | "more to come"> {
    // In this order: a log that is complete now has all its files.
    const isComplete = this.#isOver || this.#source.complete.aborted;
    await this.#lookForNew();
    if (this.waiting.length > 0) return "more files";
    return isComplete ? "nothing" : "more to come";
  }

  async wait(): Promise<void> {
    await this.#watch?.wait();
  }

  /** Whether files are missing between the last one and the next. */
  takeGap(): boolean {
    const had = this.#hasGap;
    this.#hasGap = false;
    return had;
  }

  /** Opens files that rotation has made since, one look at a time. */
  #lookForNew(): Promise<void> {
    this.#lookingForNew = this.#lookingForNew.then(async () => {
      const last = this.waiting.at(-1) ?? this.#current;
      if (last === undefined || this.#watch === undefined || this.waiting.length >= MAX_WAITING_FILES) return;
      const { files, hasGap } = await openRotated(this.#source.path, last);
      this.waiting.push(...files);
      this.#hasGap ||= hasGap;
    });
    return this.#lookingForNew;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#watch?.close();
    clearTimeout(this.#untilTimer);
    await this.#lookingForNew.catch(() => undefined);
    await closeLogFiles([...this.waiting.splice(0), ...(this.#current === undefined ? [] : [this.#current])]);
  }
}

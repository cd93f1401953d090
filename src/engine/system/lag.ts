import { closeSync, openSync, readSync } from "node:fs";
import { createHistogram, type RecordableHistogram } from "node:perf_hooks";

/**
 * How long the event loop kept others waiting: nothing may block it for more than 20 ms.
 *
 * A timer of one millisecond is looked at for how late it comes. Where two busy cores have more to do than this daemon, much of that is the
 * kernel's: the thread was ready and another had its core. The scheduler knows how long (/proc/PID/schedstat); what is left, computing and
 * sleeping in system calls alike, is the daemon's own doing. The timer costs a thousand wake-ups a second, so it runs only from the first
 * request on, until nobody has asked for ten minutes.
 */
export interface LagReport {
  /** False: nobody had asked for a while; measuring begins with this answer. */
  measured: boolean;
  sinceMs: number;
  /** How late a timer came; how much of that the thread waited for a core; and the rest, its own. */
  delay: LagTimes;
  waitingForCore: LagTimes;
  own: LagTimes;
}

/** In milliseconds. */
export interface LagTimes {
  p50: number;
  p99: number;
  max: number;
}

const TICK_MS = 1;
const IDLE_LIMIT_MS = 10 * 60 * 1000;
const SCHEDSTAT_BYTES = 64;

export class LoopLag {
  #timer: NodeJS.Timeout | undefined;
  #schedstat: number | undefined;
  readonly #buffer = Buffer.alloc(SCHEDSTAT_BYTES);
  readonly #delay = createHistogram();
  readonly #waitingForCore = createHistogram();
  readonly #own = createHistogram();
  #startedAtMs = 0;
  #askedAtMs = 0;
  #tickedAtMs = 0;
  #waitedMs = 0;

  /** What was measured since the last `reset`, which follows the report. */
  report(reset: boolean): LagReport {
    const nowMs = performance.now();
    const measured = this.#timer !== undefined;
    if (!measured) this.#start();
    this.#askedAtMs = nowMs;
    const report = {
      measured,
      sinceMs: measured ? Math.round(nowMs - this.#startedAtMs) : 0,
      delay: timesOf(this.#delay),
      waitingForCore: timesOf(this.#waitingForCore),
      own: timesOf(this.#own),
    };
    if (reset || !measured) this.#reset();
    return report;
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    if (this.#schedstat !== undefined) closeSync(this.#schedstat);
    this.#schedstat = undefined;
  }

  #start(): void {
    try {
      this.#schedstat = openSync("/proc/thread-self/schedstat", "r");
    } catch {
      // A kernel without it: all of the delay counts as our own.
    }
    this.#reset();
    this.#timer = setInterval(() => this.#tick(), TICK_MS).unref();
  }

  #reset(): void {
    for (const histogram of [this.#delay, this.#waitingForCore, this.#own]) histogram.reset();
    this.#startedAtMs = performance.now();
    this.#tickedAtMs = this.#startedAtMs;
    this.#waitedMs = this.#readWaitedMs();
  }

  #tick(): void {
    const nowMs = performance.now();
    const waitedMs = this.#readWaitedMs();
    const delayMs = Math.max(0, nowMs - this.#tickedAtMs - TICK_MS);
    const waitingMs = Math.min(delayMs, waitedMs - this.#waitedMs);
    record(this.#delay, delayMs);
    record(this.#waitingForCore, waitingMs);
    record(this.#own, delayMs - waitingMs);
    this.#tickedAtMs = nowMs;
    this.#waitedMs = waitedMs;
    if (nowMs - this.#askedAtMs > IDLE_LIMIT_MS) this[Symbol.dispose]();
  }

  /** How long this thread has been ready without a core, ever: the second number. */
  #readWaitedMs(): number {
    if (this.#schedstat === undefined) return 0;
    const length = readSync(this.#schedstat, this.#buffer, 0, SCHEDSTAT_BYTES, 0);
    return Number(this.#buffer.toString("latin1", 0, length).split(" ")[1] ?? 0) / 1e6;
  }
}

/** Histograms hold whole numbers from one on: microseconds here. */
function record(histogram: RecordableHistogram, ms: number): void {
  histogram.record(Math.max(1, Math.round(ms * 1000)));
}

function timesOf(histogram: RecordableHistogram): LagTimes {
  if (histogram.count === 0) return { p50: 0, p99: 0, max: 0 };
  const ms = (microseconds: number): number => Math.round(microseconds / 10) / 100;
  return { p50: ms(histogram.percentile(50)), p99: ms(histogram.percentile(99)), max: ms(histogram.max) };
}

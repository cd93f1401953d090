import { closeSync, openSync, readSync } from "node:fs";
import { createHistogram, type RecordableHistogram } from "node:perf_hooks";

/**
 * How long the event loop kept others waiting: nothing may block it for more than 20 ms.
 *
 * A timer of one millisecond is looked at for how late it comes. Where the cores have more to do than this daemon, much of that is the
 * kernel's: the thread was ready and another had its core. The scheduler knows how long (/proc/PID/schedstat), and how long it computed;
 * what is left it slept in system calls, or the machine itself stood still. The timer costs a thousand wake-ups a second, so it runs only
 * from the first request on, until nobody has asked for ten minutes.
 */
export interface LagReport {
  /** False: nobody had asked for a while; measuring begins with this answer. */
  measured: boolean;
  sinceMs: number;
  /** How late a timer came. */
  delay: LagTimes;
  /** How much of that the thread waited for a core, and the rest: the daemon's own. */
  waitingForCore: LagTimes;
  own: LagTimes;
  /** How much of its own it computed. */
  computing: LagTimes;
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
  readonly #computing = createHistogram();
  #startedAtMs = 0;
  #askedAtMs = 0;
  #tickedAtMs = 0;
  #scheduled: Scheduled = { computedMs: 0, waitedMs: 0 };

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
      computing: timesOf(this.#computing),
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
    for (const histogram of [this.#delay, this.#waitingForCore, this.#own, this.#computing]) histogram.reset();
    this.#startedAtMs = performance.now();
    this.#tickedAtMs = this.#startedAtMs;
    this.#scheduled = this.#readScheduled();
  }

  #tick(): void {
    const nowMs = performance.now();
    const { computedMs, waitedMs } = this.#readScheduled();
    const delayMs = Math.max(0, nowMs - this.#tickedAtMs - TICK_MS);
    const waitingMs = Math.min(delayMs, waitedMs - this.#scheduled.waitedMs);
    const ownMs = delayMs - waitingMs;
    record(this.#delay, delayMs);
    record(this.#waitingForCore, waitingMs);
    record(this.#own, ownMs);
    record(this.#computing, Math.min(ownMs, computedMs - this.#scheduled.computedMs));
    this.#tickedAtMs = nowMs;
    this.#scheduled = { computedMs, waitedMs };
    if (nowMs - this.#askedAtMs > IDLE_LIMIT_MS) this[Symbol.dispose]();
  }

  #readScheduled(): Scheduled {
    if (this.#schedstat === undefined) return { computedMs: 0, waitedMs: 0 };
    const length = readSync(this.#schedstat, this.#buffer, 0, SCHEDSTAT_BYTES, 0);
    const [computedNs = 0, waitedNs = 0] = this.#buffer.toString("latin1", 0, length).split(" ").map(Number);
    return { computedMs: computedNs / 1e6, waitedMs: waitedNs / 1e6 };
  }
}

/** What this thread has had of a core, ever, and how long it was ready without one. */
interface Scheduled {
  computedMs: number;
  waitedMs: number;
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

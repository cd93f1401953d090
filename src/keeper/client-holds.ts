import { closeSync } from "node:fs";
import type { Log } from "../base/log.ts";
import { messageOf } from "../base/errors.ts";
import { openFifoReader } from "../kernel/fifo.ts";
import { copyDescriptor, hasEnded, openPidfdOf, readEndedStatus } from "../kernel/pidfd.ts";
import type { Target } from "./keeper.ts";
import type { Methods, WireStarted } from "./protocol.ts";

/**
 * What the daemon holds so that a keeper may die: per target a pidfd, by which the exit status can still be had when nobody is the
 * parent; a descriptor on each output FIFO that is never read, without which the last bytes would go with the last writer; and a copy of
 * the pty's master, without which a terminal would hang up.
 */
export class Holds {
  readonly #holds = new Map<string, Hold>();
  readonly #log: Log;

  constructor(log: Log) {
    this.#log = log;
  }

  /** Holds a target that runs. `keeperPidfd` is for its terminal. */
  take(target: Target, started: WireStarted, keeperPidfd: number): void {
    const key = keyOf(target);
    const earlier = this.#holds.get(key);
    if (earlier?.started.pid === started.pid && earlier.started.startTicks === started.startTicks) return;
    this.release(target);
    const pidfd = openPidfdOf(started.pid, started.startTicks);
    // Its exit is on its way.
    if (pidfd === undefined) return;
    const hold: Hold = { target, started, pidfd, others: [], terminal: undefined };
    this.#holds.set(key, hold);
    try {
      for (const fifo of started.fifos) hold.others.push(openFifoReader(fifo));
      if (started.terminal !== undefined) hold.terminal = copyDescriptor(keeperPidfd, started.terminal);
    } catch (error) {
      // It has ended meanwhile and the keeper has let go of it.
      this.#log.debug({ target, error: messageOf(error) }, "a target's output is not held");
    }
  }

  release(target: Target): void {
    const key = keyOf(target);
    const hold = this.#holds.get(key);
    this.#holds.delete(key);
    if (hold === undefined) return;
    for (const descriptor of [hold.pidfd, ...hold.others]) closeSync(descriptor);
    if (hold.terminal !== undefined) closeSync(hold.terminal);
  }

  releaseAll(): void {
    for (const { target } of this.#holds.values()) this.release(target);
  }

  /** What a keeper that did not see it needs to know. */
  async report(): Promise<Methods["report"]["params"]> {
    const report: Methods["report"]["params"] = { daemonPid: process.pid, ended: [], terminals: [] };
    for (const { target, started, pidfd, terminal } of this.#holds.values()) {
      const { pid } = started;
      if (terminal !== undefined) report.terminals.push({ target, descriptor: terminal });
      if (!hasEnded(pidfd)) continue;
      const waitStatus = await statusOf(pidfd, started);
      if (waitStatus !== undefined) report.ended.push({ target, pid, waitStatus });
    }
    return report;
  }
}

interface Hold {
  target: Target;
  started: WireStarted;
  pidfd: number;
  others: number[];
  terminal: number | undefined;
}

/** Between its end and its reaping by a parent that is not the keeper any more, the kernel may tell neither way for a moment. */
const STATUS_TRIES = 20;
const STATUS_PAUSE_MS = 10;

async function statusOf(pidfd: number, { pid, startTicks }: WireStarted): Promise<number | undefined> {
  for (let tries = 0; tries < STATUS_TRIES; tries += 1) {
    const status = readEndedStatus(pidfd, pid, startTicks);
    if (status !== undefined) return status;
    await new Promise((resolve) => setTimeout(resolve, STATUS_PAUSE_MS));
  }
  return undefined;
}

function keyOf({ containerId, execId }: Target): string {
  return `${containerId}/${execId ?? ""}`;
}

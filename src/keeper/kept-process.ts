import { closeSync } from "node:fs";
import { readEndedStatus, signalPidfd } from "../kernel/pidfd.ts";
import type { Poller } from "../kernel/poller.ts";
import type { Exit } from "./keeper.ts";
import type { ProcessRecord } from "./record.ts";

/** A target's process: one we started, or one that an earlier keeper did and that is nobody's child of ours. */
export interface KeptProcess {
  record: ProcessRecord;
  /** The wait status, as soon as it has ended; undefined when nobody can tell it any more. */
  ended: Promise<number | undefined>;
  /** How it ended, where an earlier keeper has written that down and did not live to log all its output. */
  recordedExit?: Exit | undefined;
  /** Sends a signal; false when it has ended. */
  signal(signalNumber: number): boolean;
}

/** How long we look for the status of a process that has ended: whoever is its parent now may take seconds to reap it. */
const STATUS_TRIES = 100;
const STATUS_PAUSE_MS = 50;

/** A child of ours: its pid stays its own until the reaper tells its end. */
export function ownProcess(record: ProcessRecord, claimed: Promise<number>): KeptProcess {
  let alive = true;
  const ended = claimed.then((status) => {
    alive = false;
    return status;
  });
  return {
    record,
    ended,
    signal: (signalNumber) => alive && process.kill(record.pid, signalNumber),
  };
}

/** Another's child, by the pidfd that was opened for it, which is ours from now on. */
export function adoptedProcess(record: ProcessRecord, pidfd: number, poller: Poller): KeptProcess {
  let open = true;
  const end = Promise.withResolvers<number | undefined>();
  const settle = async (): Promise<void> => {
    poller.unwatch(pidfd);
    open = false;
    let status: number | undefined;
    for (let tries = 0; tries < STATUS_TRIES && status === undefined; tries += 1) {
      if (tries > 0) await new Promise((resolve) => setTimeout(resolve, STATUS_PAUSE_MS));
      status = readEndedStatus(pidfd, record.pid, record.startTicks);
    }
    closeSync(pidfd);
    end.resolve(status);
  };
  poller.watch(pidfd, ({ readable }) => {
    if (readable && open) void settle();
  });
  return { record, ended: end.promise, signal: (signalNumber) => open && signalPidfd(pidfd, signalNumber) };
}

/** A process that ended while there was no keeper. */
export function endedProcess(record: ProcessRecord, ended: Promise<number | undefined>, recordedExit?: Exit): KeptProcess {
  return { record, ended, recordedExit, signal: () => false };
}

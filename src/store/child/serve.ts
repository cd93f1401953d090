import { writeFileSync } from "node:fs";
import { setPriority } from "node:os";

import { EngineError, messageOf } from "../../base/errors.ts";
import { lineSplitter, type ChildAnswer, type ChildRequest } from "./protocol.ts";

/** What a child can do: by the name of the kind of job. */
export type ChildJobs = Record<string, (payload: unknown, progress: (value: unknown) => void, signal: AbortSignal) => Promise<unknown>>;

/** At most this often a job's progress is passed on. */
const PROGRESS_INTERVAL_MS = 100;
/** The kernel should end a child rather than the daemon when memory runs out. */
const OOM_SCORE = "700";
const CHILD_NICENESS = 5;

/** The child's side: does jobs until stdin ends. */
export function serveJobs(jobs: ChildJobs): void {
  try {
    writeFileSync("/proc/self/oom_score_adj", OOM_SCORE);
    // Work on data gives way to the daemon, whose every answer would wait for a core meanwhile.
    setPriority(CHILD_NICENESS);
    // Where the kernel shares out the cores by session, as Debian's does outside of cgroups, only this counts.
    writeFileSync("/proc/self/autogroup", String(CHILD_NICENESS));
  } catch {
    // Not allowed here: only a precaution is missing.
  }
  const running = new Map<number, AbortController>();
  const answer = (message: ChildAnswer): void => void process.stdout.write(`${JSON.stringify(message)}\n`);

  const run = async (job: number, kind: string, payload: unknown): Promise<void> => {
    const controller = new AbortController();
    running.set(job, controller);
    try {
      const work = jobs[kind];
      if (work === undefined) throw new Error(`no such kind of job: ${kind}`);
      answer({ job, result: (await work(payload, throttled(job, answer), controller.signal)) ?? null });
    } catch (error) {
      const details = error instanceof JobError ? error.details : undefined;
      answer({ job, error: { kind: error instanceof EngineError ? error.kind : "system", message: messageOf(error), details } });
    } finally {
      running.delete(job);
    }
  };

  process.stdin.setEncoding("utf8");
  process.stdin.on(
    "data",
    lineSplitter((line) => {
      // The daemon is the only one who writes here.
      const request = JSON.parse(line) as ChildRequest;
      if ("cancel" in request) running.get(request.cancel)?.abort(new EngineError("system", "canceled"));
      else void run(request.job, request.kind, request.payload);
    }),
  );
  process.stdin.on("end", () => process.exit(0));
  process.stdout.on("error", () => process.exit(1));
}

/** An error that carries facts for the daemon to act on. */
export class JobError extends EngineError {
  readonly details: Record<string, unknown>;

  constructor(message: string, details: Record<string, unknown>) {
    super("system", message);
    this.details = details;
  }
}

function throttled(job: number, answer: (message: ChildAnswer) => void): (value: unknown) => void {
  let last = -PROGRESS_INTERVAL_MS;
  return (value) => {
    const now = performance.now();
    if (now - last < PROGRESS_INTERVAL_MS) return;
    last = now;
    answer({ job, progress: value });
  };
}

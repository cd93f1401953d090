import { EngineError, messageOf } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import { startPipedChild, type PipedChild } from "../../kernel/piped-child.ts";
import { exitCodeOf } from "../../kernel/wait-status.ts";
import { lineSplitter, type ChildAnswer, type ChildRequest } from "./protocol.ts";
import { JobError } from "./serve.ts";

/**
 * The daemon's children for work on strangers' data: downloads and unpacking. They are started when there is work, at most MAX_CHILDREN,
 * and go some seconds after the last job, because an idle Node process costs memory. A child may die of what it reads: its jobs then
 * fail, with an error that says so, and the next job gets a new child.
 */
export interface ChildPool {
  /** Has a child do a job. Of the `heavy` ones, which keep a core busy, a child does one at a time; others share it. */
  run: (job: Job, signal?: AbortSignal) => Promise<unknown>;
  /** Starts the children now, so that they are there when work comes. */
  warm: () => void;
  /** Has one child there, with what a kind of job needs, until it is disposed: for short work that comes after a long wait. */
  keepReady: (kind: string) => Disposable;
  [Symbol.asyncDispose]: () => Promise<void>;
}

export interface Job {
  kind: string;
  payload: unknown;
  /** For messages: `unpacking layer 0123456789ab`. */
  what: string;
  heavy: boolean;
  progress?: (value: unknown) => void;
}

/** The child that did a job died. */
export class ChildDiedError extends EngineError {
  constructor(what: string, how: string) {
    super("system", `${what}: the process that did it ended unexpectedly (${how})`);
  }
}

const MAX_CHILDREN = 2;
const IDLE_MS = 3000;
/** How long a cancelled job may take to stop before its child is killed. */
const CANCEL_MS = 5000;

interface Child {
  process: PipedChild;
  jobs: Map<number, RunningJob>;
  idleTimer: NodeJS.Timeout | undefined;
  gone: Promise<void>;
}

interface RunningJob {
  job: Job;
  resolve: (result: unknown) => void;
  reject: (error: Error) => void;
}

export function openChildPool(options: { command: string[]; log: Log }): ChildPool {
  const children = new Set<Child>();
  /** Heavy jobs that found every child busy. */
  const waiting = new Set<{ start: (child: Child) => void; reject: (error: Error) => void }>();
  let lastJob = 0;
  let holds = 0;
  let closed = false;

  const isHeavy = (child: Child): boolean => [...child.jobs.values()].some((running) => running.job.heavy);

  /** The least loaded child, or a new one while there is something to gain by it. */
  const childFor = (job: Job): Child | undefined => {
    const usable = [...children].filter((child) => !(job.heavy && isHeavy(child))).toSorted((a, b) => a.jobs.size - b.jobs.size);
    const best = usable[0];
    if (best !== undefined && (best.jobs.size === 0 || children.size >= MAX_CHILDREN)) return best;
    return children.size < MAX_CHILDREN ? startChild() : undefined;
  };

  const startChild = (): Child => {
    const [program = process.execPath, ...args] = options.command;
    const started = startPipedChild({ path: program, argv: [program, ...args], environment: childEnvironment() });
    const child: Child = { process: started, jobs: new Map(), idleTimer: undefined, gone: Promise.resolve() };
    children.add(child);
    const end = (how: string): void => {
      clearTimeout(child.idleTimer);
      children.delete(child);
      for (const running of child.jobs.values()) running.reject(new ChildDiedError(running.job.what, how));
      child.jobs.clear();
      serveWaiting();
    };
    child.gone = started.ended.then(
      (status) => end(`status ${exitCodeOf(status)}`),
      (error: unknown) => end(messageOf(error)),
    );
    started.input.on("error", () => undefined);
    started.output.on("error", () => undefined).setEncoding("utf8");
    const onLine = lineSplitter((line) => hear(child, line));
    started.output.on("data", (chunk: string) => {
      try {
        onLine(chunk);
      } catch (error) {
        options.log.warn({ err: error }, "a child process spoke out of turn");
        started.kill();
      }
    });
    restWhenIdle(child);
    return child;
  };

  const hear = (child: Child, line: string): void => {
    // Written by serve.ts of the same build.
    const answer = JSON.parse(line) as ChildAnswer;
    const running = child.jobs.get(answer.job);
    if (running === undefined) return;
    if ("progress" in answer) {
      running.job.progress?.(answer.progress);
      return;
    }
    child.jobs.delete(answer.job);
    if ("result" in answer) running.resolve(answer.result);
    else if (answer.error.details !== undefined) running.reject(new JobError(answer.error.message, answer.error.details));
    else running.reject(new EngineError(answer.error.kind, answer.error.message));
    restWhenIdle(child);
    serveWaiting();
  };

  const restWhenIdle = (child: Child): void => {
    clearTimeout(child.idleTimer);
    if (child.jobs.size > 0) return;
    child.idleTimer = setTimeout(() => {
      if (holds > 0 && children.size === 1) restWhenIdle(child);
      else dismiss(child);
    }, IDLE_MS).unref();
  };

  const dismiss = (child: Child): void => {
    children.delete(child);
    child.process.input.end();
  };

  const serveWaiting = (): void => {
    for (const next of waiting) {
      const child = closed ? undefined : childFor(HEAVY_JOB);
      if (child === undefined) return;
      waiting.delete(next);
      next.start(child);
    }
  };

  const send = (child: Child, request: ChildRequest): void => void child.process.input.write(`${JSON.stringify(request)}\n`);

  const runOn = (child: Child, job: Job, signal: AbortSignal | undefined): Promise<unknown> => {
    const number = ++lastJob;
    clearTimeout(child.idleTimer);
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    child.jobs.set(number, { job, resolve, reject });
    send(child, { job: number, kind: job.kind, payload: job.payload });
    let killTimer: NodeJS.Timeout | undefined;
    const cancel = (): void => {
      send(child, { cancel: number });
      killTimer = setTimeout(() => child.process.kill(), CANCEL_MS);
    };
    signal?.addEventListener("abort", cancel);
    return promise.finally(() => {
      signal?.removeEventListener("abort", cancel);
      clearTimeout(killTimer);
    });
  };

  return {
    async run(job, signal) {
      signal?.throwIfAborted();
      if (closed) throw new EngineError("unavailable", `${job.what}: the daemon is shutting down`);
      const free = childFor(job);
      if (free !== undefined) return runOn(free, job, signal);
      const { promise, resolve, reject } = Promise.withResolvers<unknown>();
      const next = { start: (child: Child) => resolve(runOn(child, job, signal)), reject };
      waiting.add(next);
      const cancel = (): void => {
        if (waiting.delete(next)) reject(signal?.reason instanceof Error ? signal.reason : new EngineError("system", "canceled"));
      };
      signal?.addEventListener("abort", cancel);
      return promise.finally(() => signal?.removeEventListener("abort", cancel));
    },
    keepReady(kind) {
      holds += 1;
      let isHeld = true;
      if (!closed)
        runOn(childFor(LIGHT_JOB) ?? startChild(), { ...LIGHT_JOB, kind: "prepare", payload: kind }, undefined).catch(() => undefined);
      return {
        [Symbol.dispose]() {
          if (isHeld) holds -= 1;
          isHeld = false;
        },
      };
    },
    warm() {
      if (closed) return;
      while (children.size < MAX_CHILDREN) startChild();
    },
    async [Symbol.asyncDispose]() {
      closed = true;
      for (const next of waiting) next.reject(new EngineError("unavailable", "the daemon is shutting down"));
      waiting.clear();
      const all = [...children];
      for (const child of all) {
        child.process.kill();
        dismiss(child);
      }
      await Promise.all(all.map((child) => child.gone));
    },
  };
}

const HEAVY_JOB: Job = { kind: "", payload: null, what: "", heavy: true };
const LIGHT_JOB: Job = { ...HEAVY_JOB, what: "getting ready", heavy: false };

/** Nothing of the daemon's environment but what Node and a proxy need. */
function childEnvironment(): Record<string, string> {
  const proxies = ["HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"].flatMap((name) => [name, name.toLowerCase()]);
  const certificates = ["NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE", "SSL_CERT_DIR"];
  const wanted = ["PATH", "TMPDIR", "TSUBO_FAILPOINTS", "NODE_COMPILE_CACHE", ...certificates, ...proxies];
  return Object.fromEntries(
    wanted.flatMap((name) => {
      const value = process.env[name];
      return value === undefined ? [] : [[name, value]];
    }),
  );
}

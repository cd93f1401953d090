import { Worker } from "node:worker_threads";

import { EngineError, messageOf, type ErrorKind } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import type { Operations } from "./operations.ts";

/**
 * The kernel worker thread: the one thread that speaks to the kernel about links and the firewall, in all network namespaces.
 *
 * Its own thread for two reasons: entering a namespace changes a thread, and while many namespaces die the kernel makes link calls wait
 * (up to 97 ms seen). A call is a message there and a message back (0.04 ms). It is not expected to die: when it does the process ends,
 * because its sockets would live on and keep the firewall's table from its successor.
 */
export interface KernelWorker {
  call<Name extends keyof Operations>(name: Name, ...args: Parameters<Operations[Name]>): Promise<ReturnType<Operations[Name]>>;
  [Symbol.asyncDispose](): Promise<void>;
}

export interface Request {
  id: number;
  name: keyof Operations | "ready" | "close";
  args: unknown[];
}

export interface Answer {
  id: number;
  result?: unknown;
  error?: { message: string; code?: string | undefined; kind?: ErrorKind | undefined };
}

/** Idle, the thread costs 6.5 MB with these limits and 17 without. */
const RESOURCE_LIMITS = { maxOldGenerationSizeMb: 24, maxYoungGenerationSizeMb: 2, stackSizeMb: 1 };

/** Starts the thread. `file` is the program of `bin/kernel-worker.ts`. The caller has warmed libuv's pool. */
export async function openKernelWorker(file: string, log: Log): Promise<KernelWorker> {
  const worker = new Worker(file, { resourceLimits: RESOURCE_LIMITS, name: "kernel", trackUnmanagedFds: false });
  const waiting = new Map<number, { resolve: (value: unknown) => void; reject: (error: Error) => void }>();
  let lastId = 0;
  let closing = false;

  worker.on("message", (answer: Answer) => {
    const call = waiting.get(answer.id);
    waiting.delete(answer.id);
    if (answer.error) call?.reject(errorOf(answer.error));
    else call?.resolve(answer.result);
  });
  const ended = new Promise<void>((resolve) => {
    worker.once("exit", () => resolve());
  });
  worker.once("error", (error) => fail(error));
  worker.once("exit", (code) => {
    if (!closing) fail(new Error(`exit code ${code}`));
  });

  function fail(cause: unknown): void {
    const error = new EngineError("system", `the kernel worker thread ended: ${messageOf(cause)}`, { cause });
    log.fatal({ error: error.message }, "kernel worker ended");
    for (const call of waiting.values()) call.reject(error);
    waiting.clear();
    if (!closing) throw error;
  }

  function send(name: string, args: unknown[]): Promise<unknown> {
    lastId += 1;
    const id = lastId;
    return new Promise((resolve, reject) => {
      waiting.set(id, { resolve, reject });
      // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
      worker.postMessage({ id, name, args });
    });
  }

  await send("ready", []);
  return {
    // The worker answers each name with what its operation of that name returns.
    call: <Name extends keyof Operations>(name: Name, ...args: Parameters<Operations[Name]>) =>
      (closing ? Promise.reject(new EngineError("system", `${name}: the kernel worker thread is closed`)) : send(name, args)) as Promise<
        ReturnType<Operations[Name]>
      >,
    async [Symbol.asyncDispose]() {
      if (closing) return;
      closing = true;
      await send("close", []);
      await ended;
    },
  };
}

function errorOf(answer: NonNullable<Answer["error"]>): Error {
  const error = new EngineError(answer.kind ?? "system", answer.message);
  return answer.code === undefined ? error : Object.assign(error, { code: answer.code });
}

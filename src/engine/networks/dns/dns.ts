import { Worker } from "node:worker_threads";

import { EngineError, messageOf } from "../../../base/errors.ts";
import type { Log } from "../../../base/log.ts";
import type { KernelWorker } from "../../../kernel/net/kernel-worker.ts";
import { closeBoth } from "../../../kernel/net/name-sockets.ts";
import type { NamedEndpoint } from "./names.ts";
import type { DnsView } from "./resolver.ts";
import type { DnsCommand, DnsReport } from "./serve-dns-worker.ts";

/**
 * The name servers of containers on user-defined networks.
 *
 * Each such container asks 127.0.0.11 in its own namespace. The kernel worker opens the sockets there, a thread of its own serves them all
 * (`container-server.ts`), so neither waits for the daemon nor holds it up; it starts with the first container. Names are put and removed
 * as endpoints come and go. What the thread knows is here too: if it should end, its successor gets all of it. Nothing outlives the daemon;
 * the next one opens all again, and until then questions wait.
 */
export interface Dns {
  /** Serves a container that has joined; again: it sees something else now. */
  serve(containerId: string, namespaceFile: string, view: DnsView): Promise<void>;
  /** Lets go of the container's namespace. Idempotent. */
  close(containerId: string): Promise<void>;
  put(endpoint: NamedEndpoint): void;
  remove(endpointId: string): void;
  [Symbol.asyncDispose](): Promise<void>;
}

export interface DnsOptions {
  kernel: KernelWorker;
  log: Log;
  /** The program of `bin/dns-worker.ts`, or its bundle. */
  workerPath: string;
}

const RESOURCE_LIMITS = { maxOldGenerationSizeMb: 64, maxYoungGenerationSizeMb: 8, stackSizeMb: 1 };

/** A thread that has not closed a container's sockets by then is stuck: it is ended, and another begins. */
const CLOSE_LIMIT_MS = 5000;

/** Before a thread that failed is followed by another. */
const RESTART_AFTER_MS = 1000;

export function openDns({ kernel, log, workerPath }: DnsOptions): Dns {
  const endpoints = new Map<string, NamedEndpoint>();
  const served = new Map<string, { namespaceFile: string; view: DnsView }>();
  const closing = new Map<string, PromiseWithResolvers<void>>();
  let worker: Worker | undefined;
  let isDisposed = false;

  function send(command: DnsCommand): void {
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
    worker?.postMessage(command);
  }

  function start(): void {
    worker = new Worker(workerPath, { resourceLimits: RESOURCE_LIMITS, name: "dns" });
    worker.on("message", (report: DnsReport) => {
      if (report.kind === "failed") complain(report.containerId, report.message);
      settle(report.containerId);
    });
    worker.on("error", (error) => log.error({ error: messageOf(error) }, "the DNS thread failed: starting another"));
    worker.on("exit", () => {
      worker = undefined;
      for (const containerId of closing.keys()) settle(containerId);
      if (!isDisposed) setTimeout(reopenAll, RESTART_AFTER_MS).unref();
    });
    for (const endpoint of endpoints.values()) send({ kind: "put", endpoint });
  }

  async function open(containerId: string, namespaceFile: string): Promise<void> {
    const sockets = await kernel.call("openNameSockets", namespaceFile);
    const container = served.get(containerId);
    // It has left meanwhile.
    if (container === undefined || isDisposed) return closeBoth(sockets);
    if (worker === undefined) start();
    send({ kind: "open", containerId, sockets, ...container });
  }

  function reopenAll(): void {
    for (const [containerId, { namespaceFile }] of served)
      open(containerId, namespaceFile).catch((error: unknown) => complain(containerId, messageOf(error)));
  }

  function settle(containerId: string): void {
    closing.get(containerId)?.resolve();
    closing.delete(containerId);
  }

  function complain(container: string, error: string): void {
    if (!isDisposed) log.error({ container, error }, "serving names to a container");
  }

  return {
    async serve(containerId, namespaceFile, view) {
      const isOpen = served.has(containerId);
      served.set(containerId, { namespaceFile, view });
      if (isOpen) return send({ kind: "view", containerId, view });
      try {
        await open(containerId, namespaceFile);
      } catch (error) {
        served.delete(containerId);
        throw new EngineError("system", `opening the name server of container ${containerId}: ${messageOf(error)}`, { cause: error });
      }
    },
    async close(containerId) {
      if (!served.delete(containerId) || worker === undefined) return;
      const closed = Promise.withResolvers<void>();
      closing.set(containerId, closed);
      send({ kind: "close", containerId });
      const stuck = worker;
      const limit = setTimeout(() => {
        complain(containerId, "the DNS thread is stuck: ending it");
        void stuck.terminate();
      }, CLOSE_LIMIT_MS);
      await closed.promise;
      clearTimeout(limit);
    },
    put(endpoint) {
      endpoints.set(endpoint.endpointId, endpoint);
      send({ kind: "put", endpoint });
    },
    remove(endpointId) {
      if (endpoints.delete(endpointId)) send({ kind: "remove", endpointId });
    },
    async [Symbol.asyncDispose]() {
      isDisposed = true;
      await worker?.terminate();
    },
  };
}

import { rm } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";

import { EngineError } from "../../base/errors.ts";
import { JobError } from "../../store/child/serve.ts";
import type { ImageEngine } from "./open-images.ts";
import type { Reference } from "./reference.ts";
import type { Descriptor } from "./registry/manifest.ts";
import { pullError } from "./registry/registry-errors.ts";
import type { DownloadRequest } from "./registry/download.ts";
import type { RegistrySession } from "./registry/registry-session.ts";

/**
 * Downloads of layers, shared by everybody who wants the same blob: the bytes are fetched once, each user hears the progress, and only when
 * the last one has gone away is the download given up. What has come stays in `content/partial` and is taken up by the next attempt.
 */
export interface LayerDownloads {
  /** Resolves with the path of the verified blob. The caller calls `release` when it has been unpacked, or never will be. */
  fetch(request: LayerRequest, signal?: AbortSignal): Promise<{ path: string; release: () => Promise<void> }>;
}

export interface LayerRequest {
  session: RegistrySession;
  reference: Reference;
  layer: Descriptor;
  /** The download waits for its turn behind others. */
  onWaiting: () => void;
  onBytes: (bytes: number) => void;
}

/** Of the whole daemon, as dockerd's max-concurrent-downloads. */
const CONCURRENT_DOWNLOADS = 3;
/** As dockerd's max-download-attempts. */
const MAX_ATTEMPTS = 5;
const FIRST_PAUSE_MS = 500;
const STALL_TIMEOUT_MS = 60_000;

interface Shared {
  users: Set<{ onBytes: (bytes: number) => void }>;
  giveUp: AbortController;
  done: Promise<void>;
  bytes: number;
}

export function openLayerDownloads(engine: Pick<ImageEngine, "blobs" | "children">): LayerDownloads {
  const shared = new Map<string, Shared>();
  const turns = openTurns(CONCURRENT_DOWNLOADS);

  const begin = (request: LayerRequest): Shared => {
    const giveUp = new AbortController();
    const download: Shared = { users: new Set(), giveUp, done: Promise.resolve(), bytes: 0 };
    const hear = (bytes: number): void => {
      download.bytes = bytes;
      for (const user of download.users) user.onBytes(bytes);
    };
    download.done = turns.run(() => attempt(engine, request, hear, giveUp.signal), request.onWaiting, giveUp.signal);
    // Whoever waits for it hears of a failure; nobody may be left to.
    download.done.catch(() => undefined);
    return download;
  };

  return {
    async fetch(request, signal) {
      const { digest } = request.layer;
      let download = shared.get(digest);
      if (download === undefined || download.giveUp.signal.aborted) {
        download = begin(request);
        shared.set(digest, download);
      }
      const current = download;
      const user = { onBytes: request.onBytes };
      current.users.add(user);
      if (current.bytes > 0) request.onBytes(current.bytes);
      const leave = (): boolean => {
        if (!current.users.delete(user) || current.users.size > 0) return false;
        if (shared.get(digest) === current) shared.delete(digest);
        return true;
      };
      try {
        await orAbort(current.done, signal);
      } catch (error) {
        if (leave()) current.giveUp.abort(new EngineError("system", "canceled"));
        throw error;
      }
      const path = engine.blobs.partialPath(digest);
      return {
        path,
        release: async () => {
          if (leave()) await rm(path, { force: true });
        },
      };
    },
  };
}

/** One download with its retries. */
async function attempt(
  engine: Pick<ImageEngine, "blobs" | "children">,
  { session, reference, layer }: LayerRequest,
  hear: (bytes: number) => void,
  signal: AbortSignal,
): Promise<void> {
  for (let tries = 1, pauseMs = FIRST_PAUSE_MS; ; tries += 1, pauseMs *= 2) {
    const payload: DownloadRequest = {
      ...session.blobRequest(layer.digest),
      path: engine.blobs.partialPath(layer.digest),
      digest: layer.digest,
      sizeBytes: layer.sizeBytes,
      stallTimeoutMs: STALL_TIMEOUT_MS,
    };
    try {
      const what = `downloading ${layer.digest}`;
      await engine.children.run({ kind: "download", payload, what, heavy: false, progress: (bytes) => hear(Number(bytes)) }, signal);
      return;
    } catch (error) {
      signal.throwIfAborted();
      const verdict = await judge(error, session, reference, signal);
      if (verdict !== "again" || tries >= MAX_ATTEMPTS) throw verdict === "again" ? error : verdict;
    }
    await sleep(pauseMs, undefined, { signal });
  }
}

/** Whether a download that failed is worth another try; otherwise what to tell. */
async function judge(error: unknown, session: RegistrySession, reference: Reference, signal: AbortSignal): Promise<"again" | Error> {
  if (!(error instanceof JobError)) return error instanceof Error ? error : new Error(String(error));
  const { network, status, headers, body } = error.details;
  if (network === true) return "again";
  if (typeof status !== "number") return error;
  if (status === 401 && typeof headers === "object" && headers !== null) {
    // Written by download.ts of the same build.
    return (await session.answerChallenge(headers as Record<string, string>, signal))
      ? "again"
      : pullError({ status, body: bytesOf(body) }, reference);
  }
  if (status >= 500 || status === 429 || status === 416) return "again";
  return pullError({ status, body: bytesOf(body) }, reference);
}

function bytesOf(body: unknown): Buffer {
  return Buffer.from(typeof body === "string" ? body : "");
}

/** At most `count` at once; the others wait in line. */
function openTurns(count: number): { run: <T>(work: () => Promise<T>, onWaiting: () => void, signal: AbortSignal) => Promise<T> } {
  let free = count;
  const line: (() => void)[] = [];
  return {
    async run(work, onWaiting, signal) {
      if (free === 0) {
        onWaiting();
        await new Promise<void>((resolve) => line.push(resolve));
      } else free -= 1;
      try {
        signal.throwIfAborted();
        return await work();
      } finally {
        const next = line.shift();
        if (next === undefined) free += 1;
        else next();
      }
    },
  };
}

function orAbort<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise;
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(new EngineError("system", "canceled"));
    if (signal.aborted) return abort();
    signal.addEventListener("abort", abort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
  });
}

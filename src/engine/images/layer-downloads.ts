import { rm } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";

import { EngineError, messageOf } from "../../base/errors.ts";
import { shortId } from "../../base/ids.ts";
import { ChildDiedError } from "../../store/child/pool.ts";
import { JobError } from "../../store/child/serve.ts";
import type { ImageEngine } from "./open-images.ts";
import type { Reference } from "./reference.ts";
import type { DownloadFailure, DownloadRequest } from "./registry/download.ts";
import type { Descriptor } from "./registry/manifest.ts";
import { pullError } from "./registry/registry-errors.ts";
import { isNetworkFailure, type RegistrySession } from "./registry/registry-session.ts";
import { openTurns } from "./turns.ts";

/**
 * Downloads of layers, shared by everybody who wants the same blob: the bytes are fetched once, each user hears the progress, and only when
 * the last one has gone away is the download given up. What has come stays in `content/partial` and is taken up by the next attempt.
 *
 * A download uses the registry and the credentials of whoever began it. When it fails, the others begin again with their own.
 */
export interface LayerDownloads {
  fetch(request: LayerRequest, signal: AbortSignal): Promise<FetchedLayer>;
  /** Digests of what is being downloaded, or waits to be unpacked. */
  inUse(): ReadonlySet<string>;
  /** Deletes what has come of a blob, unless somebody else wants it. */
  discard(digest: string): Promise<void>;
}

export interface LayerRequest {
  session: RegistrySession;
  reference: Reference;
  layer: Descriptor;
  /** The download waits for its turn behind others. */
  onWaiting: () => void;
  onBytes: (bytes: number) => void;
  /** It failed and will be tried again after a pause. */
  onRetry: (pauseMs: number) => void;
}

export interface FetchedLayer {
  /** The verified blob. */
  path: string;
  /** Lets go of it; it is deleted when everybody has, unless all asked to keep it. */
  release: (options: { keep: boolean }) => Promise<void>;
}

type Engine = Pick<ImageEngine, "blobs" | "children" | "registry">;

interface Shared {
  users: Set<LayerRequest>;
  giveUp: AbortController;
  /** Settles when the file is let go of: by the child, or by its deletion. */
  done: Promise<void>;
  bytes: number;
  /** It failed, or its file is being deleted. */
  isOver: boolean;
  keep: boolean;
}

export function openLayerDownloads(engine: Engine): LayerDownloads {
  const shared = new Map<string, Shared>();
  const turns = openTurns(engine.registry.maxConcurrentDownloads);

  const forget = (digest: string, download: Shared): void => {
    if (shared.get(digest) === download) shared.delete(digest);
  };

  const startOf = (digest: string): Shared => {
    const giveUp = new AbortController();
    const download: Shared = { users: new Set(), giveUp, done: Promise.resolve(), bytes: 0, isOver: false, keep: true };
    shared.set(digest, download);
    return download;
  };

  /** Whoever wants it meanwhile begins anew, when the file is gone. */
  const deleteFile = async (digest: string, download: Shared): Promise<void> => {
    download.isOver = true;
    download.done = rm(engine.blobs.partialPath(digest), { force: true });
    await download.done.finally(() => forget(digest, download));
  };

  /** `before` has not let go of the same file yet. */
  const begin = (request: LayerRequest, before: Shared | undefined): Shared => {
    const download = startOf(request.layer.digest);
    const { giveUp } = download;
    const tell = {
      bytes: (bytes: number): void => {
        download.bytes = bytes;
        for (const user of download.users) user.onBytes(bytes);
      },
      retry: (pauseMs: number): void => {
        for (const user of download.users) user.onRetry(pauseMs);
      },
    };
    const work = async (): Promise<void> => {
      await before?.done.catch(() => undefined);
      await downloadWithRetries(engine, request, tell, giveUp.signal);
    };
    download.done = turns.run(work, request.onWaiting, giveUp.signal);
    download.done.catch(() => {
      download.isOver = true;
      forget(request.layer.digest, download);
    });
    return download;
  };

  const leave = (digest: string, download: Shared, request: LayerRequest): boolean => {
    download.users.delete(request);
    return download.users.size === 0 && shared.get(digest) === download;
  };

  /** It may have come to its end at this very moment: then nobody else forgets it. */
  const abandon = (digest: string, download: Shared): void => {
    download.giveUp.abort(new EngineError("system", "canceled"));
    download.done.then(
      () => forget(digest, download),
      () => undefined,
    );
  };

  return {
    inUse: () => new Set(shared.keys()),
    async discard(digest) {
      const known = shared.get(digest);
      if (known !== undefined && known.users.size > 0) return;
      await known?.done.catch(() => undefined);
      if (!shared.has(digest)) await deleteFile(digest, startOf(digest));
    },
    async fetch(request, signal) {
      const { digest } = request.layer;
      for (;;) {
        signal.throwIfAborted();
        const known = shared.get(digest);
        const isJoining = known !== undefined && !known.isOver && !known.giveUp.signal.aborted;
        const download = isJoining ? known : begin(request, known);
        download.users.add(request);
        if (download.bytes > 0) request.onBytes(download.bytes);
        try {
          await orAbort(download.done, signal);
        } catch (error) {
          if (leave(digest, download, request)) abandon(digest, download);
          signal.throwIfAborted();
          if (isJoining) continue;
          throw error;
        }
        const path = engine.blobs.partialPath(digest);
        return {
          path,
          release: async ({ keep }) => {
            // Whoever unpacked it has made it needless.
            download.keep &&= keep;
            if (!leave(digest, download, request)) return;
            if (download.keep) forget(digest, download);
            else await deleteFile(digest, download);
          },
        };
      }
    },
  };
}

async function downloadWithRetries(
  engine: Engine,
  { session, reference, layer }: LayerRequest,
  tell: { bytes: (bytes: number) => void; retry: (pauseMs: number) => void },
  signal: AbortSignal,
): Promise<void> {
  const what = `downloading layer ${shortId(layer.digest)}`;
  let pauseMs = engine.registry.retryDelayMs;
  for (let tries = 1; ; tries += 1) {
    const payload: DownloadRequest = {
      ...session.blobRequest(layer.digest),
      path: engine.blobs.partialPath(layer.digest),
      digest: layer.digest,
      sizeBytes: layer.sizeBytes,
      stallTimeoutMs: engine.registry.stallTimeoutMs,
    };
    const progress = (bytes: unknown): void => tell.bytes(Number(bytes));
    try {
      await engine.children.run({ kind: "download", payload, what, heavy: false, progress }, signal);
      return;
    } catch (error) {
      signal.throwIfAborted();
      const verdict = await judge(error, session, reference, payload.headers, signal);
      if (!verdict.again || tries >= engine.registry.maxDownloadAttempts) throw withContext(what, verdict.error);
      if (!verdict.atOnce) {
        tell.retry(pauseMs);
        await sleep(pauseMs, undefined, { signal });
        pauseMs *= 2;
      }
    }
  }
}

interface Verdict {
  error: Error;
  again: boolean;
  /** Without a pause. */
  atOnce?: boolean;
}

/** True when a download was cut off by the network, so that the next pull can go on from there. */
export function wasCutOff(error: unknown): boolean {
  return isNetworkFailure(error) || (error instanceof Error && isNetworkFailure(error.cause));
}

/** Whether a download that failed is worth another try, and what to tell otherwise. */
async function judge(
  error: unknown,
  session: RegistrySession,
  reference: Reference,
  shown: Record<string, string>,
  signal: AbortSignal,
): Promise<Verdict> {
  const plain = error instanceof Error ? error : new Error(messageOf(error));
  if (error instanceof ChildDiedError) return { error: plain, again: true };
  if (!(error instanceof JobError)) return { error: plain, again: false };
  // Written by download.ts of the same build.
  const { network, status, headers = {}, body = "" } = error.details as DownloadFailure;
  if (status === undefined) return { error: plain, again: network === true };
  const answer = { status, headers, body: Buffer.from(body) };
  if (status === 401) {
    const again = await session.answerChallenge(headers, shown, signal);
    return { error: pullError(answer, reference), again, atOnce: true };
  }
  return { error: pullError(answer, reference), again: status >= 500 || status === 429 || status === 416 };
}

function withContext(what: string, error: Error): Error {
  if (error.message.startsWith("filesystem layer verification failed")) return error;
  return new EngineError(error instanceof EngineError ? error.kind : "system", `${what}: ${error.message}`, { cause: error });
}

/** What the promise gives, or an error as soon as `signal` is aborted. */
export function orAbort<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(new EngineError("system", "canceled"));
    signal.addEventListener("abort", abort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
    // Last, so that the promise's own failure is heard in any case.
    if (signal.aborted) abort();
  });
}

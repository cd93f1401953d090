import { EngineError } from "../../base/errors.ts";
import { failpoint } from "../../base/failpoint.ts";
import { shortId } from "../../base/ids.ts";
import type { StagedLayer } from "../../store/layers.ts";
import type { UnpackResult } from "../../store/unpack/unpack-layer.ts";
import { adoptFolders, unpackInto } from "./add-image.ts";
import { chainIdsOf } from "./image-store.ts";
import type { ProgressLine } from "./images.ts";
import { wasCutOff } from "./layer-downloads.ts";
import type { ImageEngine, Pin } from "./open-images.ts";
import type { Reference } from "./reference.ts";
import type { Descriptor } from "./registry/manifest.ts";
import type { RegistrySession } from "./registry/registry-session.ts";

export interface LayersRequest {
  session: RegistrySession;
  reference: Reference;
  /** Lowest first, as many as diffIDs. */
  layers: Descriptor[];
  diffIds: string[];
}

/**
 * Downloads and unpacks the layers that are missing, several at once, and makes all of them durable together. Docker's lines are told in
 * Docker's order: a layer is complete only when all below it are.
 */
export async function pullLayers(
  engine: ImageEngine,
  request: LayersRequest,
  pin: Pin,
  progress: (line: ProgressLine) => void,
  signal: AbortSignal,
): Promise<void> {
  const { layers, diffIds } = request;
  const chainIds = chainIdsOf(diffIds);
  for (const chainId of chainIds) pin.hold(chainId);
  const known = chainIds.filter((chainId) => engine.layers.has(chainId)).length;
  for (const layer of layers.slice(0, known)) progress({ id: shortId(layer.digest), status: "Already exists", progressDetail: {} });
  const missing = layers.slice(known);
  for (const layer of missing) progress({ id: shortId(layer.digest), status: "Pulling fs layer", progressDetail: {} });

  const staged: StagedLayer[] = [];
  const failed = new AbortController();
  const either = AbortSignal.any([signal, failed.signal]);
  try {
    for (const chainId of chainIds.slice(known)) {
      const below = chainIds[chainIds.indexOf(chainId) - 1];
      staged.push(await engine.layers.stage(staged.at(-1) ?? below));
    }
    failpoint("images.pull.staged");
    let below = Promise.resolve();
    const jobs = staged.map((own, index) => {
      const at = known + index;
      const layer = layers[at];
      const [diffId, chainId] = [diffIds[at], chainIds[at]];
      if (layer === undefined || diffId === undefined || chainId === undefined) throw new Error("a staged layer has no descriptor");
      const tell = progressOf(layer, progress);
      const job = pullLayer(engine, { ...request, layer, diffId, staged: own }, tell, either);
      below = Promise.all([job, below]).then(() => tell({ status: "Pull complete", progressDetail: {} }));
      below.catch(() => undefined);
      job.catch((error: unknown) => failed.abort(error));
      return job.then(({ bytes, implied }) => ({ staged: own, chainId, parent: chainIds[at - 1], diffId, bytes, implied }));
    });
    // The first failure ends the others; all of them have ended before their folders go.
    const settled = await Promise.allSettled(jobs);
    signal.throwIfAborted();
    if (failed.signal.aborted) {
      // Only one that was stopped or cut off goes on from here the next time.
      if (!wasCutOff(failed.signal.reason)) for (const { digest } of missing) await engine.downloads.discard(digest);
      throw failed.signal.reason;
    }
    await below;
    const finished = settled.flatMap((result) => (result.status === "fulfilled" ? [result.value] : []));
    for (const { staged: own, implied } of finished) await adoptFolders(engine, own, implied, signal);
    failpoint("images.pull.unpacked");
    await engine.layers.commit(finished);
  } finally {
    for (const own of staged) await own.abort();
  }
}

/** Lines of one layer, in Docker's form. */
type TellLayer = (line: Omit<ProgressLine, "id">) => void;

function progressOf(layer: Descriptor, progress: (line: ProgressLine) => void): TellLayer {
  return (line) => progress({ id: shortId(layer.digest), ...line });
}

interface LayerJob extends LayersRequest {
  layer: Descriptor;
  diffId: string;
  staged: StagedLayer;
}

async function pullLayer(engine: ImageEngine, job: LayerJob, tell: TellLayer, signal: AbortSignal): Promise<UnpackResult> {
  const { session, reference, layer, staged } = job;
  const total = layer.sizeBytes;
  const download = await engine.downloads.fetch(
    {
      session,
      reference,
      layer,
      onWaiting: () => tell({ status: "Waiting", progressDetail: {} }),
      onBytes: (current) => tell({ status: "Downloading", progressDetail: { current, total } }),
      onRetry: (pauseMs) => tell({ status: retryLine(pauseMs), progressDetail: {} }),
    },
    signal,
  );
  let isUnpacked = false;
  try {
    tell({ status: "Verifying Checksum", progressDetail: {} });
    tell({ status: "Download complete", progressDetail: {} });
    const what = `unpacking layer ${shortId(layer.digest)}`;
    const progress = (current: number): void => tell({ status: "Extracting", progressDetail: { current, total } });
    const result = await unpackInto(engine, staged, { path: download.path, what, progress }, signal);
    progress(total);
    if (result.diffId !== job.diffId) {
      throw new EngineError(
        "invalid",
        `layers from manifest don't match image configuration: layer ${layer.digest} unpacks to ${result.diffId}, not to ${job.diffId}`,
      );
    }
    isUnpacked = true;
    return result;
  } finally {
    await download.release({ keep: !isUnpacked });
  }
}

function retryLine(pauseMs: number): string {
  const seconds = Math.max(1, Math.round(pauseMs / 1000));
  return `Retrying in ${seconds} second${seconds === 1 ? "" : "s"}`;
}

import { failpoint } from "../../base/failpoint.ts";
import { shortId } from "../../base/ids.ts";
import { chainIdsOf } from "./image-store.ts";
import type { Pin, ProgressLine } from "./images.ts";
import { orAbort, wasCutOff } from "./layer-downloads.ts";
import type { LayerShare } from "./layer-jobs.ts";
import type { ImageEngine } from "./open-images.ts";
import { fullName, type Reference } from "./reference.ts";
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
  const chainIds = chainIdsOf(request.diffIds);
  for (const chainId of chainIds) pin.hold(chainId);
  const known = countKnown(engine, chainIds);
  for (const [at, { digest }] of request.layers.entries()) {
    progress({ id: shortId(digest), status: at < known ? "Already exists" : "Pulling fs layer", progressDetail: {} });
  }
  // Another pull's failure is not ours; in the end all that is missing is our own to bring.
  while (!(await bringMissing(engine, request, chainIds, progress, signal)));
}

function countKnown(engine: ImageEngine, chainIds: string[]): number {
  return chainIds.filter((chainId) => engine.layers.has(chainId)).length;
}

/** False when a layer failed that another pull had begun. */
async function bringMissing(
  engine: ImageEngine,
  { session, reference, layers, diffIds }: LayersRequest,
  chainIds: string[],
  progress: (line: ProgressLine) => void,
  signal: AbortSignal,
): Promise<boolean> {
  const shares: LayerShare[] = [];
  let failed: LayerShare | undefined;
  try {
    for (let at = countKnown(engine, chainIds); at < layers.length; at += 1) {
      const [layer, diffId, chainId] = [layers[at], diffIds[at], chainIds[at]];
      if (layer === undefined || diffId === undefined || chainId === undefined) throw new Error("a layer has no descriptor");
      const tell = (line: Omit<ProgressLine, "id">): void => progress({ id: shortId(layer.digest), ...line });
      shares.push(engine.layerJobs.join({ session, reference, layer, diffId, chainId, below: shares.at(-1) ?? chainIds[at - 1], tell }));
    }
    await orAbort(Promise.all(shares.map(({ staged }) => staged)), signal);
    failpoint("images.pull.staged");
    const finished = shares.map(async (share) => {
      try {
        return await share.done;
      } catch (error) {
        failed ??= share;
        throw error;
      }
    });
    const layersToCommit = await orAbort(Promise.all(finished), signal);
    failpoint("images.pull.unpacked");
    await engine.layers.commit(layersToCommit);
    remember(engine, reference, layers, diffIds);
    return true;
  } catch (error) {
    await leave(shares);
    signal.throwIfAborted();
    if (failed?.isOwn === false) return false;
    // Only one that was cut off, or stopped, goes on from here the next time.
    if (!wasCutOff(error)) for (const { digest } of layers) await engine.downloads.discard(digest);
    throw error;
  } finally {
    await leave(shares);
  }
}

/** Where the layers are to be had, for a push to come. */
function remember(engine: ImageEngine, reference: Reference, layers: Descriptor[], diffIds: string[]): void {
  for (const [at, { digest, sizeBytes, mediaType }] of layers.entries()) {
    // As schema 2 manifests, which we write, know no other compression.
    const diffId = mediaType.endsWith("gzip") ? diffIds[at] : undefined;
    if (diffId !== undefined) engine.layerDigests.add(diffId, { digest, sizeBytes, repository: fullName(reference) });
  }
}

/** Topmost first, as each works upon the one below. */
async function leave(shares: LayerShare[]): Promise<void> {
  await Promise.all(shares.toReversed().map((share) => share.leave()));
}

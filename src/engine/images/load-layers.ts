import { EngineError } from "../../base/errors.ts";
import { failpoint } from "../../base/failpoint.ts";
import { shortId } from "../../base/ids.ts";
import type { FinishedLayer, LayerArchive, LayerContent, StagedLayer } from "../../store/layers.ts";
import type { ArchivedLayer } from "./archives/docker-archive.ts";
import type { ArchivedFile } from "./archives/image-archive.ts";
import { chainIdOf, chainIdsOf } from "./image-store.ts";
import type { Pin } from "./images.ts";
import type { Loading } from "./load.ts";

/** Brings the layers of an image that are missing: unpacked side by side, and made durable together. */
export async function loadLayers(loading: Loading, layers: ArchivedLayer[], diffIds: string[], pin: Pin): Promise<void> {
  const driver = loading.engine.layers;
  const chainIds = chainIdsOf(diffIds);
  for (const chainId of chainIds) pin.hold(chainId);
  const failed = new AbortController();
  const signal = AbortSignal.any([loading.signal, failed.signal]);
  const staged: StagedLayer[] = [];
  const unpacking: Promise<FinishedLayer>[] = [];
  try {
    for (const [at, layer] of layers.entries()) {
      const [chainId = "", diffId = "", parent] = [chainIds[at], diffIds[at], chainIds[at - 1]];
      if (driver.has(chainId)) continue;
      const own = await driver.stage(staged.at(-1) ?? parent);
      staged.push(own);
      const below = unpacking.at(-1);
      const work = async (): Promise<FinishedLayer> => {
        const content = await unpackKnown(loading, own, layer, diffId, signal);
        await below;
        await own.complete(signal);
        return { staged: own, chainId, parent, ...content };
      };
      const done = work();
      done.catch((error: unknown) => failed.abort(error));
      unpacking.push(done);
    }
    await Promise.allSettled(unpacking);
    // What failed first, and not what was given up for it.
    failed.signal.throwIfAborted();
    failpoint("images.load.unpacked");
    if (unpacking.length > 0) await driver.commit(await Promise.all(unpacking));
  } finally {
    failed.abort();
    await Promise.allSettled(unpacking);
    for (const layer of staged.toReversed()) await layer.abort();
  }
}

/** Brings layers of which nobody says what they are, one after the other. Answers their diffIDs. */
export async function loadUnknownLayers(loading: Loading, names: string[], pin: Pin): Promise<string[]> {
  const driver = loading.engine.layers;
  const staged: StagedLayer[] = [];
  const finished: FinishedLayer[] = [];
  try {
    for (const name of names) {
      const own = await driver.stage(staged.at(-1));
      staged.push(own);
      const content = await own.apply(archiveOf(loading, name), loading.signal);
      await own.complete(loading.signal);
      const parent = finished.at(-1)?.chainId;
      const chainId = chainIdOf(parent, content.diffId);
      pin.hold(chainId);
      finished.push({ staged: own, chainId, parent, ...content });
    }
    failpoint("images.load.unpackedUnknown");
    await driver.commit(finished);
    return finished.map(({ diffId }) => diffId);
  } finally {
    for (const layer of staged.toReversed()) await layer.abort();
  }
}

async function unpackKnown(
  loading: Loading,
  staged: StagedLayer,
  layer: ArchivedLayer,
  diffId: string,
  signal: AbortSignal,
): Promise<LayerContent> {
  const archive = archiveOf(loading, layer.name);
  const total = archive.range.sizeBytes;
  const tell = (current: number): void => {
    if (!loading.quiet) loading.progress({ id: shortId(diffId), status: "Loading layer", progressDetail: { current, total } });
  };
  // One that is not compressed is known by its diffID already.
  const digest = layer.digest === diffId ? undefined : layer.digest;
  const content = await staged.apply({ ...archive, digest, progress: tell }, signal);
  if (content.diffId !== diffId) {
    throw new EngineError("invalid", `invalid diffID for layer ${JSON.stringify(layer.name)}: expected ${diffId}, got ${content.diffId}`);
  }
  tell(total);
  return content;
}

function archiveOf({ archive }: Loading, name: string): LayerArchive & { range: ArchivedFile } {
  const range = archive.find(name);
  if (range === undefined) throw new EngineError("invalid", `the archive has no file ${JSON.stringify(name)}, a layer of an image in it`);
  return { path: archive.path, range, what: `loading layer ${JSON.stringify(name)}` };
}

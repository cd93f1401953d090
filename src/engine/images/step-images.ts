import { parseTimestamp } from "../../base/time.ts";
import { chainIdsOf, type ImageRecord } from "./image-store.ts";
import { blobsInUse, forgetMissingLayers, layersInUse, type ImageEngine } from "./open-images.ts";

/** An image that a step of a build made: the build cache, unless it is more than that. */
export interface StepUse {
  id: string;
  parent: string | undefined;
  /** What the step did, as the history has it. */
  createdBy: string;
  createdNs: bigint;
  /** Of the layer that the step made; 0 for a step that made none, or the same as an older one. */
  bytes: number;
  /** Needed by something besides the cache: it has a name, is what a build came to, or a container or a running build uses it, or an image that was made from it. */
  isNeeded: boolean;
  /** Used by a container or a running build. */
  isInUse: boolean;
  /** Such an image has its layer. */
  isShared: boolean;
}

/** All of them, the oldest first. */
export function listSteps({ store, usersOf, pinned, layers }: ImageEngine): StepUse[] {
  const held = new Set([...pinned].flatMap((pin) => [...pin.held]));
  const isUsed = ({ id }: ImageRecord): boolean => held.has(id) || usersOf(id).length > 0;
  const records = store.records();
  const roots = records.filter((one) => one.stepKey === undefined || one.isResult || store.referencesOf(one.id).length > 0 || isUsed(one));
  const needed = new Set<string>();
  for (const root of roots) {
    for (let next: ImageRecord | undefined = root; next !== undefined && !needed.has(next.id);) {
      needed.add(next.id);
      next = next.parent === undefined ? undefined : store.record(next.parent);
    }
  }
  const shared = new Set(roots.flatMap((one) => chainIdsOf(one.config.rootfs.diff_ids)));
  const counted = new Set<string>();
  const bytesOf = (record: ImageRecord): number => {
    const chainId = chainIdsOf(record.config.rootfs.diff_ids).at(-1);
    if (record.config.history?.at(-1)?.empty_layer === true || chainId === undefined || counted.has(chainId)) return 0;
    counted.add(chainId);
    return layers.describe(chainId)?.bytes ?? 0;
  };
  return records
    .filter(({ stepKey }) => stepKey !== undefined)
    .map((record) => ({ record, createdNs: parseTimestamp(record.config.created ?? "") ?? 0n }))
    .toSorted((a, b) => Number(a.createdNs - b.createdNs))
    .map(({ record, createdNs }) => ({
      id: record.id,
      parent: record.parent,
      createdBy: record.config.history?.at(-1)?.created_by ?? "",
      createdNs,
      bytes: bytesOf(record),
      isNeeded: needed.has(record.id),
      isInUse: isUsed(record),
      isShared: shared.has(chainIdsOf(record.config.rootfs.diff_ids).at(-1) ?? ""),
    }));
}

/**
 * Removes step images, those made from others first, as far as nothing needs them by then. No names are lost and nobody is told: these
 * are no images to their users. Answers which went, and the bytes of the layers that went with them.
 */
export async function removeSteps(engine: ImageEngine, ids: ReadonlySet<string>): Promise<{ ids: string[]; bytes: number }> {
  const { store, layers, blobs } = engine;
  const unneeded = new Set(listSteps(engine).flatMap(({ id, isNeeded }) => (!isNeeded && ids.has(id) ? [id] : [])));
  const keptParents = new Set<string | undefined>();
  for (const record of store.records()) {
    if (unneeded.has(record.id)) continue;
    for (let next = record.parent; next !== undefined && !keptParents.has(next); next = store.record(next)?.parent) keptParents.add(next);
  }
  const records = [...unneeded].filter((id) => !keptParents.has(id)).flatMap((id) => store.record(id) ?? []);
  const chains = new Map(records.flatMap(({ config }) => chainIdsOf(config.rootfs.diff_ids).map((chainId, depth) => [chainId, depth])));
  const bytes = new Map([...chains.keys()].map((chainId) => [chainId, layers.describe(chainId)?.bytes ?? 0]));
  store.change({ forget: records.map(({ id }) => id) });
  const inUse = layersInUse(engine);
  const topmostFirst = [...chains].filter(([chainId]) => !inUse.has(chainId)).toSorted(([, a], [, b]) => b - a);
  const removed = await layers.remove(topmostFirst.map(([chainId]) => chainId));
  await forgetMissingLayers(engine);
  const blobsNeeded = blobsInUse(engine);
  for (const { id } of records) await blobs.remove(id, () => blobsNeeded.has(id) || store.record(id) !== undefined);
  return { ids: records.map(({ id }) => id), bytes: removed.reduce((sum, chainId) => sum + (bytes.get(chainId) ?? 0), 0) };
}

/** Marks an image as what a build came to: that is more than cache, also without a name. Durable when it resolves. */
export async function markResult({ store }: ImageEngine, id: string): Promise<void> {
  const record = store.record(id);
  if (record === undefined || record.stepKey === undefined || record.isResult === true) return;
  store.change({ put: [{ ...record, isResult: true }] });
  await store.durable();
}

/** Gives an image the parent that it has by its history, unless it has one. Durable when it resolves. */
export async function adoptImage({ store }: ImageEngine, id: string, parent: string): Promise<void> {
  const record = store.record(id);
  if (record === undefined || record.parent !== undefined || id === parent) return;
  store.change({ put: [{ ...record, parent }] });
  await store.durable();
}

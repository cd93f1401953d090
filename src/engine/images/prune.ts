import { EngineError } from "../../base/errors.ts";
import { createdNsOf, hasLabels, parseBooleanFilter, parseUntil } from "./image-filters.ts";
import type { ImageRecord } from "./image-store.ts";
import type { ImageEngine } from "./open-images.ts";
import { fullReference } from "./reference.ts";
import { removeImage, type RemovedItem } from "./remove.ts";

const FILTERS = ["dangling", "label", "label!", "until"];

/**
 * `POST /images/prune`: removes what no container uses, by Docker's rules (moby 28, daemon/images/image_prune.go): images without a tag, or
 * with `dangling=false` those with tags too. What is in use stays and is no error. One prune at a time.
 */
export function pruneImages(
  engine: ImageEngine,
  filters: Map<string, string[]>,
  signal?: AbortSignal,
): Promise<{ deleted: RemovedItem[]; reclaimedBytes: number }> {
  if (engine.locks.isBusy("prune")) throw new EngineError("conflict", "a prune operation is already running");
  return engine.locks.run("prune", () => prune(engine, filters, signal));
}

async function prune(
  engine: ImageEngine,
  filters: Map<string, string[]>,
  signal: AbortSignal | undefined,
): Promise<{ deleted: RemovedItem[]; reclaimedBytes: number }> {
  const { isWanted, tagged } = readFilters(filters);
  const layerBytes = new Map(engine.layers.list().map((chainId) => [chainId, engine.layers.describe(chainId)?.bytes ?? 0]));
  const deleted: RemovedItem[] = [];
  for (const record of engine.store.records().filter((one) => isTop(engine, one) && isWanted(one))) {
    if (signal?.aborted === true) break;
    const references = engine.store.referencesOf(record.id);
    if (!tagged && references.some(({ tag }) => tag !== undefined)) continue;
    const names = references.length > 0 ? references.map(fullReference) : [record.id.slice("sha256:".length)];
    for (const name of names) deleted.push(...(await removeUnlessUsed(engine, name)));
  }
  const reclaimedBytes = deleted.reduce((sum, item) => sum + ("Deleted" in item ? (layerBytes.get(item.Deleted) ?? 0) : 0), 0);
  engine.announcePrune(reclaimedBytes);
  return { deleted, reclaimedBytes };
}

function readFilters(filters: Map<string, string[]>): { isWanted: (record: ImageRecord) => boolean; tagged: boolean } {
  for (const key of filters.keys()) if (!FILTERS.includes(key)) throw new EngineError("invalid", `invalid filter '${key}'`);
  const tagged = parseBooleanFilter("dangling", filters.get("dangling")) === false;
  const until = filters.get("until") ?? [];
  if (until.length > 1) throw new EngineError("invalid", "more than one until filter specified");
  const untilNs = until[0] === undefined ? undefined : parseUntil(until[0]);
  const [wanted, unwanted] = [filters.get("label") ?? [], filters.get("label!") ?? []];
  const isWanted = (record: ImageRecord): boolean =>
    (untilNs === undefined || createdNsOf(record) <= untilNs) &&
    hasLabels(record, wanted) &&
    (unwanted.length === 0 || !hasLabels(record, unwanted));
  return { isWanted, tagged };
}

/** Images that were only made on the way to others go with those. */
function isTop({ store }: ImageEngine, { id }: ImageRecord): boolean {
  return store.referencesOf(id).length > 0 || store.children(id).length === 0;
}

async function removeUnlessUsed(engine: ImageEngine, name: string): Promise<RemovedItem[]> {
  try {
    return await removeImage(engine, name, { force: false, noPrune: false });
  } catch (error) {
    // With the last tag of a repository went its digests.
    if (error instanceof EngineError && (error.kind === "conflict" || error.kind === "notFound")) return [];
    throw error;
  }
}

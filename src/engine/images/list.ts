import { EngineError } from "../../base/errors.ts";
import { getRecord } from "./find.ts";
import { globToRegExp, hasLabels, parseBooleanFilter, parseUntil } from "./image-filters.ts";
import { chainIdsOf, type ImageStore } from "./image-store.ts";
import type { Image } from "./images.ts";
import { familiarName, familiarReference, fullName, fullReference, withDefaultTag, type Reference } from "./reference.ts";

export interface ListOptions {
  filters: Map<string, string[]>;
  all: boolean;
  /** How much of each image the others that are listed have too. */
  sharedSizes?: boolean;
}

const FILTERS = ["dangling", "label", "before", "since", "until", "reference"];

/** Images that pass all filters, newest first, by Docker's rules; images made on the way to others only with `all`. */
export function listImages(store: ImageStore, options: ListOptions): Image[] {
  const { filters, all } = options;
  for (const key of filters.keys()) if (!FILTERS.includes(key)) throw new EngineError("invalid", `invalid filter '${key}'`);
  const dangling = parseBooleanFilter("dangling", filters.get("dangling"));
  const isInTime = timeFilter(store, filters);
  const patterns = filters.get("reference")?.map(globToRegExp);

  const parents = new Set(store.records().map((record) => record.parent));
  const images: Image[] = [];
  for (const record of store.records()) {
    const image = store.image(record);
    if (!isInTime(image.createdNs) || !hasLabels(record, filters.get("label") ?? [])) continue;
    const references = store.referencesOf(record.id).filter((reference) => patterns === undefined || matches(reference, patterns));
    const shown = {
      ...image,
      tags: references.filter((reference) => reference.tag !== undefined).map(familiarReference),
      digests: references.filter((reference) => reference.digest !== undefined).map(familiarReference),
    };
    const isParent = parents.has(record.id);
    if (references.length === 0) {
      if (dangling === false || patterns !== undefined || (isParent && (!all || dangling === true))) continue;
    } else if (dangling === true && (shown.tags.length > 0 || isParent)) continue;
    images.push(shown);
  }
  if (options.sharedSizes === true) addSharedSizes(store, images);
  return images.sort((a, b) => (a.createdNs < b.createdNs ? 1 : a.createdNs > b.createdNs ? -1 : a.id < b.id ? -1 : 1));
}

function addSharedSizes(store: ImageStore, images: Image[]): void {
  const chainsOf = ({ config }: Image): string[] => chainIdsOf(config.rootfs.diff_ids);
  const users = new Map<string, number>();
  for (const chainId of images.flatMap(chainsOf)) users.set(chainId, (users.get(chainId) ?? 0) + 1);
  for (const image of images) {
    const shared = chainsOf(image).filter((chainId) => (users.get(chainId) ?? 0) > 1);
    image.sharedBytes = shared.reduce((sum, chainId) => sum + store.layerBytes(chainId), 0);
  }
}

function timeFilter(store: ImageStore, filters: Map<string, string[]>): (createdNs: bigint) => boolean {
  const createdOf = (nameOrId: string): bigint => store.image(getRecord(store, nameOrId)).createdNs;
  const before = [...(filters.get("before") ?? []).map(createdOf), ...(filters.get("until") ?? []).map(parseUntil)];
  const since = (filters.get("since") ?? []).map(createdOf);
  return (createdNs) => before.every((limit) => createdNs < limit) && since.every((limit) => createdNs > limit);
}

function matches(reference: Reference, patterns: RegExp[]): boolean {
  const names = [familiarReference(reference), familiarName(reference), fullReference(withDefaultTag(reference)), fullName(reference)];
  return patterns.some((pattern) => names.some((name) => pattern.test(name)));
}

import { isDeepStrictEqual } from "node:util";

import type { HistoryEntry } from "../../images/image-config.ts";
import { childImageJson } from "../../images/child-image.ts";
import type { Image, Images } from "../../images/images.ts";
import type { ContainerDefaults } from "../../images/image-config.ts";
import { configMembers } from "./image-json.ts";
import type { StageState } from "./stage-state.ts";

/**
 * `--cache-from`: images, pulled ones above all, that serve as cache, by the rules of moby's image/cache/cache.go. They have no images of
 * their steps here, so they are found by their history: it begins with that of the stage so far, with the same layers, and goes on with
 * the step in hand. What is in the cache by itself counts only as far as it is part of one of them.
 */
export function cacheSources(images: Images, names: readonly string[]): readonly Image[] | undefined {
  // As in Docker, a name that is not here is no error.
  return names.length === 0 ? undefined : names.flatMap((name) => images.find(name) ?? []);
}

/** Whether a step that was found by itself was made on the way to one of them. */
export function isPartOf(images: Images, sources: readonly Image[], id: string): boolean {
  return sources.some((source) => images.ancestorsOf(source).some((ancestor) => ancestor.id === id));
}

export interface SourceStep {
  source: Image;
  entry: HistoryEntry;
  /** The layer that the step made; undefined for none. */
  diffId: string | undefined;
  /** The source is what the step came to. */
  isLast: boolean;
}

/** The step in one of them. */
export function findInSources(state: StageState, createdBy: string): SourceStep | undefined {
  for (const source of state.cacheSources ?? []) {
    const { history = [], rootfs, os, architecture } = source.config;
    const entry = history[state.history.length];
    const isSame =
      entry?.created_by === createdBy &&
      (entry.created ?? "") !== "" &&
      os === state.os &&
      architecture === state.architecture &&
      isDeepStrictEqual(history.slice(0, state.history.length), state.history) &&
      isDeepStrictEqual(rootfs.diff_ids.slice(0, state.diffIds.length), state.diffIds);
    if (!isSame) continue;
    const diffId = entry.empty_layer === true ? undefined : rootfs.diff_ids[state.diffIds.length];
    if (entry.empty_layer !== true && diffId === undefined) continue;
    return { source, entry, diffId, isLast: history.length === state.history.length + 1 };
  }
  return undefined;
}

/** The image that the step must have made on the way to the source; the same each time. */
export function restoredImage(
  state: StageState,
  config: ContainerDefaults,
  { entry, diffId }: SourceStep,
  serverVersion: string,
): { bytes: Buffer; history: HistoryEntry[] } {
  return childImageJson(state, {
    author: entry.author ?? "",
    comment: entry.comment ?? "",
    created: entry.created ?? "",
    createdBy: entry.created_by ?? "",
    config: configMembers(config, state.imageId),
    containerConfig: configMembers({}, ""),
    containerId: undefined,
    diffId,
    serverVersion,
  });
}

import { formatTime, ZERO_TIME } from "../base/time.ts";
import type { Image } from "../engine/images/images.ts";
import type { HistoryEntry } from "../engine/images/image-config.ts";

/** An image in the shapes of the Engine API 1.50. */

/** `ImageSummary`. -1: not counted. */
export function imageSummary(image: Image): Record<string, unknown> {
  return {
    Containers: -1,
    Created: seconds(image.createdNs),
    Id: image.id,
    Labels: image.config.config?.Labels ?? {},
    ParentId: "",
    RepoDigests: image.digests,
    RepoTags: image.tags,
    SharedSize: -1,
    Size: image.sizeBytes,
  };
}

/** `ImageInspect`. */
export function imageInspect(image: Image): Record<string, unknown> {
  const { config } = image;
  return {
    Id: image.id,
    RepoTags: image.tags,
    RepoDigests: image.digests,
    Parent: "",
    Comment: config.comment ?? lastComment(config.history ?? []),
    Created: config.created ?? "",
    DockerVersion: config.docker_version ?? "",
    Author: config.author ?? "",
    Config: config.config ?? {},
    Architecture: config.architecture,
    ...(config.variant === undefined || config.variant === "" ? {} : { Variant: config.variant }),
    Os: config.os,
    ...(config["os.version"] === undefined || config["os.version"] === "" ? {} : { OsVersion: config["os.version"] }),
    Size: image.sizeBytes,
    GraphDriver: { Name: "overlay2", Data: null },
    RootFS: { Type: "layers", ...(config.rootfs.diff_ids.length > 0 ? { Layers: config.rootfs.diff_ids } : {}) },
    Metadata: { LastTagTime: image.lastTaggedNs === 0n ? ZERO_TIME : formatTime(image.lastTaggedNs) },
  };
}

function lastComment(history: HistoryEntry[]): string {
  return history.at(-1)?.comment ?? "";
}

/** `HistoryResponseItem`s, newest first. Only the newest step is an image that has an id. */
export function imageHistory(image: Image): Record<string, unknown>[] {
  const steps = (image.config.history ?? []).map((step) => ({
    Id: "<missing>",
    Created: step.created === undefined ? 0 : Math.floor(Date.parse(step.created) / 1000),
    CreatedBy: step.created_by ?? "",
    Tags: null as string[] | null,
    Size: 0,
    Comment: step.comment ?? "",
  }));
  const newest = steps.at(-1);
  if (newest !== undefined) Object.assign(newest, { Id: image.id, Tags: image.tags.length > 0 ? image.tags : null });
  return steps.toReversed();
}

function seconds(ns: bigint): number {
  return Number(ns / 1_000_000_000n);
}

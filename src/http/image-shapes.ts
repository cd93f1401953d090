import { formatTime, parseTimestamp, ZERO_TIME } from "../base/time.ts";
import type { ContainerDefaults, HistoryEntry } from "../engine/images/image-config.ts";
import type { Image, Images } from "../engine/images/images.ts";

/** An image in the shapes of the Engine API 1.50. */

/** `ImageSummary`. -1: not counted. */
export function imageSummary(image: Image): Record<string, unknown> {
  return {
    Containers: -1,
    Created: seconds(image.createdNs),
    Id: image.id,
    Labels: image.config.config?.Labels ?? {},
    ParentId: image.parent ?? "",
    RepoDigests: image.digests,
    RepoTags: image.tags,
    SharedSize: image.sharedBytes ?? -1,
    Size: image.sizeBytes,
  };
}

/** `ImageInspect`. */
export function imageInspect(image: Image, layers: ReturnType<Images["layersOf"]>): Record<string, unknown> {
  const { config } = image;
  return {
    Id: image.id,
    RepoTags: image.tags,
    RepoDigests: image.digests,
    Parent: image.parent ?? "",
    Comment: config.comment ?? lastComment(config.history ?? []),
    ...(config.created === undefined || config.created === "" ? {} : { Created: config.created }),
    DockerVersion: config.docker_version ?? "",
    Author: config.author ?? "",
    Config: imageDefaults(config.config ?? {}),
    Architecture: config.architecture,
    ...(config.variant === undefined || config.variant === "" ? {} : { Variant: config.variant }),
    Os: config.os,
    ...(config["os.version"] === undefined || config["os.version"] === "" ? {} : { OsVersion: config["os.version"] }),
    Size: image.sizeBytes,
    GraphDriver: { Name: layers.driver, Data: layers.data },
    RootFS: { Type: "layers", ...(config.rootfs.diff_ids.length > 0 ? { Layers: config.rootfs.diff_ids } : {}) },
    Metadata: { LastTagTime: image.lastTaggedNs === 0n ? ZERO_TIME : formatTime(image.lastTaggedNs) },
  };
}

/** What an image's config has to say of containers; the rest of the members stems from Docker's early days and is shown to nobody since 1.50. */
const DEFAULTS = [
  "User",
  "ExposedPorts",
  "Env",
  "Entrypoint",
  "Cmd",
  "Volumes",
  "WorkingDir",
  "Labels",
  "StopSignal",
  "ArgsEscaped",
  "Healthcheck",
  "OnBuild",
  "Shell",
] as const satisfies (keyof ContainerDefaults)[];

function imageDefaults(config: ContainerDefaults): Record<string, unknown> {
  const set = DEFAULTS.map((name) => [name, config[name]] as const).filter(([, value]) => !isEmpty(value));
  return Object.fromEntries(set);
}

function isEmpty(value: unknown): boolean {
  if (value === undefined || value === null || value === "" || value === false) return true;
  return typeof value === "object" && Object.keys(value).length === 0;
}

function lastComment(history: HistoryEntry[]): string {
  return history.at(-1)?.comment ?? "";
}

/**
 * `HistoryResponseItem`s, newest first: each step with the size of the layer it made. The newest is the image itself; those before it are
 * the images that it was made from, as far as they are here.
 */
export function imageHistory(image: Image, ancestors: Image[], layers: ReturnType<Images["layersOf"]>): Record<string, unknown>[] {
  const sizesBytes = [...layers.sizesBytes];
  const steps = (image.config.history ?? []).map((step) => ({
    Id: "<missing>",
    Created: seconds(parseTimestamp(step.created ?? "") ?? 0n),
    CreatedBy: step.created_by ?? "",
    Tags: null,
    Size: step.empty_layer === true ? 0 : (sizesBytes.shift() ?? 0),
    Comment: step.comment ?? "",
  }));
  const made = [image, ...ancestors];
  return steps.toReversed().map((step, index) => {
    const known = made[index];
    return known === undefined ? step : { ...step, Id: known.id, Tags: known.tags.length > 0 ? known.tags : null };
  });
}

function seconds(ns: bigint): number {
  return Number(ns / 1_000_000_000n);
}

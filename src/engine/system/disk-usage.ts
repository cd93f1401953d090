import { listContainers, type ListSources } from "../containers/list.ts";
import type { Volume, Volumes } from "../volumes/volumes.ts";
import type { Image, Images } from "../images/images.ts";

/** `GET /system/df`: what images, containers, volumes and the build cache take on the disk. What was not asked for is undefined. */
export interface DiskUsage {
  layersBytes: number | undefined;
  images: (Image & { containerCount: number })[] | undefined;
  /** In the shape of `GET /containers/json`, with sizes. */
  containers: Record<string, unknown>[] | undefined;
  volumes: (Volume & { bytes: number; users: number })[] | undefined;
  buildCache: BuildCacheRecord[] | undefined;
}

export const DISK_USAGE_PARTS = ["image", "container", "volume", "build-cache"] as const;
export type DiskUsagePart = (typeof DISK_USAGE_PARTS)[number];

/** One step's result in the build cache (Engine API 1.50, `BuildCache`). */
export interface BuildCacheRecord {
  id: string;
  parents: string[];
  type: string;
  description: string;
  isInUse: boolean;
  isShared: boolean;
  sizeBytes: number;
  createdNs: bigint;
  lastUsedNs: bigint | undefined;
  usageCount: number;
}

export interface DiskUsageSources extends ListSources {
  images: Images;
  volumes: Pick<Volumes, "usage">;
  /** Of the build engine; nothing is cached where there is none. */
  buildCache?: (() => Promise<BuildCacheRecord[]>) | undefined;
}

export async function diskUsage(sources: DiskUsageSources, parts: ReadonlySet<DiskUsagePart>): Promise<DiskUsage> {
  const { images } = sources;
  const hasImages = parts.has("image");
  const listed = hasImages ? images.list({ filters: new Map(), all: false, sharedSizes: true }) : undefined;
  return {
    layersBytes: hasImages ? images.layersBytes() : undefined,
    images: listed?.map((image) => ({ ...image, containerCount: images.countUsers(image) })),
    containers: parts.has("container")
      ? await listContainers(sources, { all: true, limit: undefined, size: true, filters: new Map() })
      : undefined,
    volumes: parts.has("volume") ? await sources.volumes.usage() : undefined,
    buildCache: parts.has("build-cache") ? ((await sources.buildCache?.()) ?? []) : undefined,
  };
}

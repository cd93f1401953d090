import type { ApiVersion } from "../api/versions.ts";
import { formatTime } from "../base/time.ts";
import type { BuildCacheRecord, DiskUsage } from "../engine/system/disk-usage.ts";
import { imageSummary } from "./image-shapes.ts";
import { volumeJson } from "./routes/volumes.ts";
import { adaptContainerSummary, adaptImageSummary } from "./shims.ts";

/** `SystemDataUsageResponse` of the Engine API 1.50; until 1.41 the build cache had a sum of its own, and one parent for each record. */
export function diskUsageJson(usage: DiskUsage, version: ApiVersion): Record<string, unknown> {
  const { images, containers, buildCache } = usage;
  return {
    ...(usage.layersBytes === undefined ? {} : { LayersSize: usage.layersBytes }),
    Images: images?.map((image) => adaptImageSummary({ ...imageSummary(image), Containers: image.containerCount }, version)) ?? null,
    Containers: containers?.map((container) => adaptContainerSummary(container, version)) ?? null,
    Volumes: usage.volumes?.map((volume) => ({ ...volumeJson(volume), UsageData: { RefCount: volume.users, Size: volume.bytes } })) ?? null,
    BuildCache: buildCache?.map((record) => buildCacheJson(record, version)) ?? null,
    ...(version < 1042 ? { BuilderSize: (buildCache ?? []).reduce((sum, { sizeBytes }) => sum + sizeBytes, 0) } : {}),
  };
}

function buildCacheJson(record: BuildCacheRecord, version: ApiVersion): Record<string, unknown> {
  return {
    ID: record.id,
    ...(version < 1042 ? { Parent: record.parents[0] ?? "" } : record.parents.length === 0 ? {} : { Parents: record.parents }),
    Type: record.type,
    Description: record.description,
    InUse: record.isInUse,
    Shared: record.isShared,
    Size: record.sizeBytes,
    CreatedAt: formatTime(record.createdNs),
    LastUsedAt: record.lastUsedNs === undefined ? null : formatTime(record.lastUsedNs),
    UsageCount: record.usageCount,
  };
}

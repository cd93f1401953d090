import type { Row } from "../templates/go-values.ts";
import { formatTime } from "../templates/go-print.ts";
import type { List } from "./list.ts";
import { formatAgo, formatSize } from "./units.ts";

/** The rows of the build cache. */

/** What we read of `GET /system/df` about one record of it. */
export type CacheRecord = {
  readonly ID: string;
  readonly Parent?: string;
  readonly Parents?: readonly string[] | null;
  readonly Type: string;
  readonly Description: string;
  readonly InUse: boolean;
  readonly Shared: boolean;
  readonly Size: number;
  readonly CreatedAt: string;
  readonly LastUsedAt?: string | null;
  readonly UsageCount: number;
};

export const CACHE_ROW = "*formatter.buildCacheContext";

const headings = {
  ID: "CACHE ID",
  Parent: "PARENT",
  CacheType: "CACHE TYPE",
  Size: "SIZE",
  CreatedSince: "CREATED",
  LastUsedSince: "LAST USED",
  UsageCount: "USAGE",
  InUse: "IN USE",
  Shared: "SHARED",
  Description: "DESCRIPTION",
};

/** The longest unused first. */
export function cacheList(records: readonly CacheRecord[], truncate: boolean): List {
  const sorted = records.toSorted((a, b) => {
    const [x, y] = [Date.parse(a.LastUsedAt ?? "") || 0, Date.parse(b.LastUsedAt ?? "") || 0];
    return x - y || (a.ID < b.ID ? -1 : 1);
  });
  return { rowType: CACHE_ROW, headings, rows: sorted.map((record) => cacheRow(record, truncate)) };
}

function cacheRow(record: CacheRecord, truncate: boolean): Row {
  const short = (id: string): string => (truncate ? id.replace(/^.*:/, "").slice(0, 12) : id);
  const ago = (time: string): string => formatAgo(Date.parse(time) / 1000);
  return {
    ID: () => `${short(record.ID)}${record.InUse ? "*" : ""}`,
    Parent: () => short(record.Parents?.join(", ") || (record.Parent ?? "")),
    CacheType: () => record.Type,
    Description: () => record.Description,
    Size: () => formatSize(record.Size, 3),
    CreatedAt: () => formatTime(record.CreatedAt),
    CreatedSince: () => ago(record.CreatedAt),
    LastUsedAt: () => (record.LastUsedAt ? formatTime(record.LastUsedAt) : ""),
    LastUsedSince: () => (record.LastUsedAt ? ago(record.LastUsedAt) : ""),
    UsageCount: () => String(record.UsageCount),
    InUse: () => String(record.InUse),
    Shared: () => String(record.Shared),
  };
}

import type { Row } from "../templates/go-values.ts";
import { formatLabels } from "./containers-list.ts";
import type { List } from "./list.ts";
import { formatSize } from "./units.ts";

/** The rows of `volume ls`. */

/** What we read of `GET /volumes`. */
export type Volume = {
  readonly Name: string;
  readonly Driver: string;
  readonly Scope: string;
  readonly Mountpoint: string;
  readonly Labels: Readonly<Record<string, string>> | null;
  readonly ClusterVolume?: unknown;
  readonly UsageData?: { readonly RefCount: number; readonly Size: number } | null;
};

export const VOLUME_ROW = "*formatter.volumeContext";

const headings = {
  Name: "VOLUME NAME",
  Driver: "DRIVER",
  Scope: "SCOPE",
  Availability: "AVAILABILITY",
  Mountpoint: "MOUNTPOINT",
  Labels: "LABELS",
  Links: "LINKS",
  Size: "SIZE",
  Group: "GROUP",
  Status: "STATUS",
};

export function volumeList(volumes: readonly Volume[]): List {
  return { rowType: VOLUME_ROW, headings, rows: volumes.map(volumeRow) };
}

export function volumeRow(volume: Volume): Row {
  const labels = volume.Labels ?? {};
  return {
    Name: () => volume.Name,
    Driver: () => volume.Driver,
    Scope: () => volume.Scope,
    Availability: () => "N/A",
    Mountpoint: () => volume.Mountpoint,
    Labels: () => formatLabels(labels),
    Label: (name) => labels[name] ?? "",
    Links: () => (volume.UsageData ? String(volume.UsageData.RefCount) : "N/A"),
    Size: () => (volume.UsageData ? formatSize(volume.UsageData.Size, 4) : "N/A"),
    Group: () => "N/A",
    Status: () => "N/A",
  };
}

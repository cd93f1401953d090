import type { DiskUsage } from "../commands/system-df.ts";
import type { Row } from "../templates/go-values.ts";
import type { List } from "./list.ts";
import { formatSize } from "./units.ts";

/** The rows of `system df`: a kind of things each, how many there are, and how much of the disk they take. */

const headings = { Type: "TYPE", TotalCount: "TOTAL", Active: "ACTIVE", Size: "SIZE", Reclaimable: "RECLAIMABLE" };

/** Things of one kind: which are in use, and their sizes. */
type Share = { readonly count: number; readonly active: number; readonly bytes: number; readonly reclaimable: number };

export function diskUsageList(usage: DiskUsage): List {
  const rows = [
    row("Images", images(usage)),
    row("Containers", containers(usage)),
    row("Local Volumes", volumes(usage)),
    row("Build Cache", buildCache(usage), false),
  ];
  return { rowType: "*formatter.diskUsageImagesContext", headings, rows };
}

function row(type: string, { count, active, bytes, reclaimable }: Share, withPercent = true): Row {
  const percent = withPercent && bytes > 0 ? ` (${Math.trunc((reclaimable * 100) / bytes)}%)` : "";
  return {
    Type: () => type,
    TotalCount: () => String(count),
    Active: () => String(active),
    Size: () => formatSize(bytes, 4),
    Reclaimable: () => `${formatSize(reclaimable, 4)}${percent}`,
  };
}

/** An image in use takes what is its own; what images share comes free with the last of them. */
function images({ Images, LayersSize: bytes = 0 }: DiskUsage): Share {
  const all = Images ?? [];
  const used = all.filter(({ Containers, Size, SharedSize }) => Containers !== 0 && Size !== -1 && SharedSize !== -1);
  const usedBytes = sum(used.map(({ Size, SharedSize }) => Size - SharedSize));
  return { count: all.length, active: all.filter(({ Containers }) => Containers > 0).length, bytes, reclaimable: bytes - usedBytes };
}

function containers({ Containers }: DiskUsage): Share {
  const all = (Containers ?? []).map(({ State, SizeRw = 0 }) => ({
    active: ["running", "paused", "restarting"].includes(State),
    bytes: SizeRw,
  }));
  return share(all);
}

function volumes({ Volumes }: DiskUsage): Share {
  return share(
    (Volumes ?? []).map(({ UsageData }) => ({ active: (UsageData?.RefCount ?? 0) > 0, bytes: Math.max(0, UsageData?.Size ?? 0) })),
  );
}

function buildCache({ BuildCache }: DiskUsage): Share {
  return share((BuildCache ?? []).map(({ InUse, Shared, Size }) => ({ active: InUse, bytes: Shared ? 0 : Size })));
}

function share(all: readonly { readonly active: boolean; readonly bytes: number }[]): Share {
  const idle = all.filter(({ active }) => !active);
  return {
    count: all.length,
    active: all.length - idle.length,
    bytes: sum(all.map(({ bytes }) => bytes)),
    reclaimable: sum(idle.map(({ bytes }) => bytes)),
  };
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, each) => total + each, 0);
}

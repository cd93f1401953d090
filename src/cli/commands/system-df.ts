import type { Command } from "../command.ts";
import { cacheList, CACHE_ROW, type CacheRecord } from "../output/build-cache-list.ts";
import { containerList, CONTAINER_ROW, type ContainerSummary } from "../output/containers-list.ts";
import { diskUsageList } from "../output/disk-usage-list.ts";
import { formatFlag } from "../output/format-flag.ts";
import { IMAGE_ROW, shortImageList, type ImageSummary } from "../output/images-list.ts";
import { compileFormat, printList, type List } from "../output/list.ts";
import { print } from "../output/print.ts";
import { formatSize } from "../output/units.ts";
import { volumeList, VOLUME_ROW, type Volume } from "../output/volumes-list.ts";
import type { GoField } from "../templates/go-values.ts";

/** `GET /system/df`. */
export type DiskUsage = {
  readonly LayersSize?: number;
  readonly Images?: readonly ImageSummary[] | null;
  readonly Containers?: readonly ContainerSummary[] | null;
  readonly Volumes?: readonly Volume[] | null;
  readonly BuildCache?: readonly CacheRecord[] | null;
};

const TABLE = "table {{.Type}}\t{{.TotalCount}}\t{{.Active}}\t{{.Size}}\t{{.Reclaimable}}";
const RAW = "type: {{.Type}}\ntotal: {{.TotalCount}}\nactive: {{.Active}}\nsize: {{.Size}}\nreclaimable: {{.Reclaimable}}\n";

export const command: Command = {
  usage: "[OPTIONS]",
  arguments: { min: 0, max: 0 },
  flags: [formatFlag, { name: "verbose", short: "v", kind: "boolean", usage: "Every image, container, volume and record of its own" }],
  async run({ client, flags }) {
    const usage = await client.json<DiskUsage>("GET", "/system/df");
    const format = flags.text("format") || "table";
    if (flags.boolean("verbose")) printEverything(usage, format);
    else printList(format === "table" ? TABLE : format === "raw" ? RAW : format, diskUsageList(usage));
  },
};

/** The tables of `-v`: what stands above each, and its columns. */
const SECTIONS = {
  Images: ["Images space usage:", "Repository Tag ID CreatedSince Size SharedSize UniqueSize Containers"],
  Containers: ["Containers space usage:", "ID Image Command LocalVolumes Size RunningFor Status Names"],
  Volumes: ["Local Volumes space usage:", "Name Links Size"],
  BuildCache: ["Build cache usage: SIZE", "ID CacheType Size CreatedSince LastUsedSince UsageCount Shared"],
} as const;

const ROW_TYPES = { Images: IMAGE_ROW, Containers: CONTAINER_ROW, Volumes: VOLUME_ROW, BuildCache: CACHE_ROW } as const;

function printEverything(usage: DiskUsage, format: string): void {
  const truncate = format.startsWith("table");
  const lists: Record<keyof typeof SECTIONS, List> = {
    Images: shortImageList(usage.Images ?? [], truncate),
    // The whole size would say nothing about what the container itself takes.
    Containers: containerList(
      (usage.Containers ?? []).map((container) => ({ ...container, SizeRootFs: 0 })),
      truncate,
    ),
    Volumes: volumeList(usage.Volumes ?? []),
    BuildCache: cacheList(usage.BuildCache ?? [], truncate),
  };
  if (format !== "table") {
    print(compileFormat(format === "raw" ? RAW_EVERYTHING : format).template.execute(everything(lists)));
    return;
  }
  const cacheBytes = (usage.BuildCache ?? []).reduce((sum, { Size, Shared }) => sum + (Shared ? 0 : Size), 0);
  let before = "";
  for (const [name, [title, columns]] of Object.entries(SECTIONS)) {
    print(`${before}${title.replace("SIZE", formatSize(cacheBytes, 4))}\n\n`);
    // The names are the table's own.
    printList(
      `table ${columns
        .split(" ")
        .map((column) => `{{.${column}}}`)
        .join("\t")}`,
      lists[name as keyof typeof SECTIONS],
    );
    before = "\n";
  }
}

function everything(lists: Record<keyof typeof SECTIONS, List>): Parameters<ReturnType<typeof compileFormat>["template"]["execute"]>[0] {
  const fields = Object.entries(ROW_TYPES).map(([name, row]): GoField => ({
    name,
    key: name,
    type: { kind: "slice", of: { kind: "row", name: row } },
    omitEmpty: false,
    embedded: false,
  }));
  const value = Object.fromEntries(Object.entries(lists).map(([name, { rows }]) => [name, rows]));
  return { type: { kind: "struct", name: "*formatter.diskUsageContext", fields }, value };
}

const RAW_EVERYTHING = `{{range .Images}}type: Image
repository: {{.Repository}}
tag: {{.Tag}}
digest: {{.Digest}}
image_id: {{.ID}}
created_at: {{.CreatedAt}}
virtual_size: {{.Size}}

{{end -}}
{{range .Containers}}type: Container
container_id: {{.ID}}
image: {{.Image}}
command: {{.Command}}
created_at: {{.CreatedAt}}
state: {{- pad .State 1 0}}
status: {{- pad .Status 1 0}}
names: {{.Names}}
labels: {{- pad .Labels 1 0}}
ports: {{- pad .Ports 1 0}}
size: {{.Size}}

{{end -}}
{{range .Volumes}}type: Volume
name: {{.Name}}
driver: {{.Driver}}

{{end -}}
{{range .BuildCache}}type: Build Cache
build_cache_id: {{.ID}}
parent_id: {{.Parent}}
build_cache_type: {{.CacheType}}
description: {{.Description}}
created_at: {{.CreatedAt}}
created_since: {{.CreatedSince}}
last_used_at: {{.LastUsedAt}}
last_used_since: {{.LastUsedSince}}
usage_count: {{.UsageCount}}
in_use: {{.InUse}}
shared: {{.Shared}}

{{end -}}`;

import type { Command } from "../command.ts";
import { encodeFilters, filterFlag } from "../options/filters.ts";
import { formatLabels } from "../output/containers-list.ts";
import { formatFlag } from "../output/format-flag.ts";
import { printList } from "../output/list.ts";
import { formatSize } from "../output/units.ts";
import type { Row } from "../templates/go-values.ts";

/** What we read of `GET /volumes`. */
type Volume = {
  readonly Name: string;
  readonly Driver: string;
  readonly Scope: string;
  readonly Mountpoint: string;
  readonly Labels: Readonly<Record<string, string>> | null;
  readonly ClusterVolume?: unknown;
  readonly UsageData?: { readonly RefCount: number; readonly Size: number } | null;
};

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

const CLUSTER_TABLE = "table {{.Name}}\t{{.Group}}\t{{.Driver}}\t{{.Availability}}\t{{.Status}}";

export const command: Command = {
  usage: "[OPTIONS]",
  arguments: { min: 0, max: 0 },
  flags: [
    { name: "cluster", kind: "boolean", usage: "Only volumes of a Swarm cluster, of which there are none here", since: "1.42" },
    filterFlag("Only those that fit: name=, driver=, label=, dangling=", "f"),
    formatFlag,
    { name: "quiet", short: "q", kind: "boolean", usage: "Names only" },
  ],
  async run({ client, config, flags }) {
    const { Volumes } = await client.json<{ Volumes: Volume[] | null }>("GET", "/volumes", {
      query: { filters: encodeFilters(flags.list("filter")) },
    });
    const byName = new Intl.Collator("en", { numeric: true });
    const cluster = flags.boolean("cluster");
    const volumes = (Volumes ?? [])
      .filter(({ ClusterVolume }) => !cluster || ClusterVolume)
      .toSorted((a, b) => byName.compare(a.Name, b.Name));
    const quiet = flags.boolean("quiet");
    const format = flags.text("format") || (quiet ? "" : config.volumesFormat) || "table";
    printList(cluster && format === "table" && !quiet ? CLUSTER_TABLE : templateFor(format, quiet), {
      rowType: "*formatter.volumeContext",
      headings,
      rows: volumes.map(row),
    });
  },
};

function templateFor(format: string, quiet: boolean): string {
  if (format === "table") return quiet ? "{{.Name}}" : "table {{.Driver}}\t{{.Name}}";
  if (format === "raw") return quiet ? "name: {{.Name}}" : "name: {{.Name}}\ndriver: {{.Driver}}\n";
  return format;
}

function row(volume: Volume): Row {
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

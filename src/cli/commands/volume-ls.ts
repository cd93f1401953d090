import type { Command } from "../command.ts";
import { encodeFilters, filterFlag } from "../options/filters.ts";
import { formatFlag } from "../output/format-flag.ts";
import { printList } from "../output/list.ts";
import { volumeList, type Volume } from "../output/volumes-list.ts";

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
    printList(cluster && format === "table" && !quiet ? CLUSTER_TABLE : templateFor(format, quiet), volumeList(volumes));
  },
};

function templateFor(format: string, quiet: boolean): string {
  if (format === "table") return quiet ? "{{.Name}}" : "table {{.Driver}}\t{{.Name}}";
  if (format === "raw") return quiet ? "name: {{.Name}}" : "name: {{.Name}}\ndriver: {{.Driver}}\n";
  return format;
}

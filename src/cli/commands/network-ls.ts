import type { Command } from "../command.ts";
import { encodeFilters, filterFlag } from "../options/filters.ts";
import { formatLabels } from "../output/containers-list.ts";
import { formatFlag } from "../output/format-flag.ts";
import { printList } from "../output/list.ts";
import { formatTime } from "../templates/go-print.ts";
import type { Row } from "../templates/go-values.ts";

/** What we read of `GET /networks`. */
type Network = {
  readonly Id: string;
  readonly Name: string;
  readonly Driver: string;
  readonly Scope: string;
  readonly Created: string;
  readonly EnableIPv4?: boolean;
  readonly EnableIPv6: boolean;
  readonly Internal: boolean;
  readonly Labels: Readonly<Record<string, string>> | null;
};

const headings = {
  ID: "NETWORK ID",
  Name: "NAME",
  Driver: "DRIVER",
  Scope: "SCOPE",
  IPv4: "IPV4",
  IPv6: "IPV6",
  Internal: "INTERNAL",
  Labels: "LABELS",
  CreatedAt: "CREATED AT",
};

export const command: Command = {
  usage: "[OPTIONS]",
  arguments: { min: 0, max: 0 },
  flags: [
    filterFlag("Only those that fit: name=, id=, driver=, label=, scope=, type=, dangling=", "f"),
    formatFlag,
    { name: "no-trunc", kind: "boolean", usage: "Full ids" },
    { name: "quiet", short: "q", kind: "boolean", usage: "Ids only" },
  ],
  async run({ client, config, flags }) {
    const networks = await client.json<Network[]>("GET", "/networks", { query: { filters: encodeFilters(flags.list("filter")) } });
    const byName = new Intl.Collator("en", { numeric: true });
    networks.sort((a, b) => byName.compare(a.Name, b.Name));
    const truncate = !flags.boolean("no-trunc");
    const quiet = flags.boolean("quiet");
    const format = flags.text("format") || (quiet ? "" : config.networksFormat) || "table";
    printList(templateFor(format, quiet), {
      rowType: "*network.networkContext",
      headings,
      rows: networks.map((network) => row(network, truncate)),
    });
  },
};

function templateFor(format: string, quiet: boolean): string {
  if (format === "table") return quiet ? "{{.ID}}" : "table {{.ID}}\t{{.Name}}\t{{.Driver}}\t{{.Scope}}";
  if (format === "raw")
    return quiet ? "network_id: {{.ID}}" : "network_id: {{.ID}}\nname: {{.Name}}\ndriver: {{.Driver}}\nscope: {{.Scope}}\n";
  return format;
}

function row(network: Network, truncate: boolean): Row {
  const labels = network.Labels ?? {};
  return {
    ID: () => (truncate ? network.Id.slice(0, 12) : network.Id),
    Name: () => network.Name,
    Driver: () => network.Driver,
    Scope: () => network.Scope,
    IPv4: () => String(network.EnableIPv4 ?? false),
    IPv6: () => String(network.EnableIPv6),
    Internal: () => String(network.Internal),
    Labels: () => formatLabels(labels),
    Label: (name) => labels[name] ?? "",
    CreatedAt: () => formatTime(network.Created),
  };
}

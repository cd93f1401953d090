import type { Command } from "../command.ts";
import { prune, printReclaimed } from "../engine/prune.ts";
import { CommandFailure } from "../failure.ts";
import { pruneFilters } from "../options/filters.ts";
import { pruneFlags } from "../options/prune-flags.ts";
import { confirm } from "../output/ask.ts";

export const command: Command = {
  usage: "[OPTIONS]",
  arguments: { min: 0, max: 0 },
  flags: [
    { name: "all", short: "a", kind: "boolean", usage: "All images that no container uses, not only those without a name" },
    ...pruneFlags,
    { name: "volumes", kind: "boolean", usage: "Anonymous volumes too" },
  ],
  about: "Stopped containers, networks, images and build cache that nothing uses; volumes only when asked for.",
  async run({ client, config, flags }) {
    const [all, volumes] = [flags.boolean("all"), flags.boolean("volumes")];
    const given = flags.list("filter");
    if (volumes && given.some((filter) => filter.startsWith("until=")))
      throw new CommandFailure('ERROR: The "until" filter is not supported with "--volumes"');
    const filtersWith = (...more: string[]): string | undefined => pruneFilters([...given, ...more], config.pruneFilters);
    if (!flags.boolean("force") && !confirm(question({ all, volumes, filters: filtersWith() }))) return;
    let bytes = 0;
    for (const kind of ["container", "network", ...(volumes ? (["volume"] as const) : []), "image", "build cache"] as const) {
      const query = {
        filters: kind === "image" ? filtersWith(`dangling=${!all}`) : filtersWith(),
        all: (kind === "build cache" && all) || undefined,
      };
      bytes += await prune(client, kind, query);
    }
    printReclaimed(bytes);
  },
};

function question({ all, volumes, filters }: { all: boolean; volumes: boolean; filters: string | undefined }): string {
  const what = [
    "all stopped containers",
    "all networks not used by at least one container",
    ...(volumes ? ["all anonymous volumes not used by at least one container"] : []),
    all ? "all images without at least one container associated to them" : "all dangling images",
    all ? "all build cache" : "unused build cache",
  ];
  // Our own encoding of the filters.
  const parsed = Object.entries(JSON.parse(filters ?? "{}") as Record<string, object>);
  const named = parsed
    .filter(([name]) => ["label", "label!", "until"].includes(name))
    .flatMap(([name, values]) => Object.keys(values).map((value) => `${name}=${value}`))
    .sort();
  const list = (lines: readonly string[]): string => lines.map((line) => `\n  - ${line}`).join("");
  const filtered = named.length === 0 ? "" : `\n  Items to be pruned will be filtered with:${list(named)}\n`;
  return `WARNING! This will remove:${list(what)}\n${filtered}\nAre you sure you want to continue?`;
}

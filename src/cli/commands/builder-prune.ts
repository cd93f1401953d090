import type { Command } from "../command.ts";
import { prune, printReclaimed } from "../engine/prune.ts";
import { pruneFilters } from "../options/filters.ts";
import { pruneFlags } from "../options/prune-flags.ts";
import { parseSizeBytes } from "../options/values.ts";
import { confirm } from "../output/ask.ts";

export const command: Command = {
  usage: "",
  arguments: { min: 0, max: 0 },
  flags: [
    { name: "all", short: "a", kind: "boolean", usage: "All of it, not only what no image needs" },
    ...pruneFlags,
    {
      name: "keep-storage",
      kind: "text",
      value: "bytes",
      usage: "Keep so much of it, the last used (10gb)",
      check: (text) => String(parseSizeBytes(text)),
    },
  ],
  examples: [["builder prune -f --keep-storage 5gb", "the oldest, until 5 GB are left, without asking"]],
  async run({ client, config, flags }) {
    const all = flags.boolean("all");
    const filters = pruneFilters(flags.list("filter"), config.pruneFilters);
    const question = `WARNING! This will remove all ${all ? "" : "dangling "}build cache. Are you sure you want to continue?`;
    if (!flags.boolean("force") && !confirm(question)) return;
    const kept = Number(flags.text("keep-storage") || "0");
    printReclaimed(
      await prune(client, "build cache", { all: all || undefined, "keep-storage": kept || undefined, filters: filters ?? "{}" }),
    );
  },
};

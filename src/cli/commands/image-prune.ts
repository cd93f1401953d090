import type { Command } from "../command.ts";
import { prune, printReclaimed } from "../engine/prune.ts";
import { pruneFilters } from "../options/filters.ts";
import { pruneFlags } from "../options/prune-flags.ts";
import { confirm } from "../output/ask.ts";

export const command: Command = {
  usage: "[OPTIONS]",
  arguments: { min: 0, max: 0 },
  flags: [{ name: "all", short: "a", kind: "boolean", usage: "All that no container uses, not only those without a name" }, ...pruneFlags],
  async run({ client, config, flags }) {
    const all = flags.boolean("all");
    const filters = pruneFilters([...flags.list("filter"), `dangling=${!all}`], config.pruneFilters);
    const which = all ? "all images without at least one container associated to them" : "all dangling images";
    if (!flags.boolean("force") && !confirm(`WARNING! This will remove ${which}.\nAre you sure you want to continue?`)) return;
    printReclaimed(await prune(client, "image", { filters }));
  },
};

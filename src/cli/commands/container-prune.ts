import type { Command } from "../command.ts";
import { prune, printReclaimed } from "../engine/prune.ts";
import { pruneFilters } from "../options/filters.ts";
import { pruneFlags } from "../options/prune-flags.ts";
import { confirm } from "../output/ask.ts";

export const command: Command = {
  usage: "[OPTIONS]",
  arguments: { min: 0, max: 0 },
  flags: pruneFlags,
  examples: [["container prune -f --filter until=24h", "those made more than a day ago, without asking"]],
  async run({ client, config, flags }) {
    const filters = pruneFilters(flags.list("filter"), config.pruneFilters);
    if (!flags.boolean("force") && !confirm("WARNING! This will remove all stopped containers.\nAre you sure you want to continue?"))
      return;
    printReclaimed(await prune(client, "container", { filters }));
  },
};

import type { Command } from "../command.ts";
import { prune } from "../engine/prune.ts";
import { pruneFilters } from "../options/filters.ts";
import { pruneFlags } from "../options/prune-flags.ts";
import { confirm } from "../output/ask.ts";

const QUESTION = "WARNING! This will remove all custom networks not used by at least one container.\nAre you sure you want to continue?";

export const command: Command = {
  usage: "[OPTIONS]",
  arguments: { min: 0, max: 0 },
  flags: pruneFlags,
  async run({ client, config, flags }) {
    const filters = pruneFilters(flags.list("filter"), config.pruneFilters);
    if (flags.boolean("force") || confirm(QUESTION)) await prune(client, "network", { filters });
  },
};

import type { Command } from "../command.ts";
import { compareVersions } from "../engine/client.ts";
import { prune, printReclaimed } from "../engine/prune.ts";
import { CommandFailure } from "../failure.ts";
import { pruneFilters } from "../options/filters.ts";
import { pruneFlags } from "../options/prune-flags.ts";
import { confirm } from "../output/ask.ts";

/** Before, an engine took those with names too. */
const SPARES_NAMED_SINCE = "1.42";

export const command: Command = {
  usage: "[OPTIONS]",
  arguments: { min: 0, max: 0 },
  flags: [
    { name: "all", short: "a", kind: "boolean", usage: "Those with names too, not only anonymous ones", since: SPARES_NAMED_SINCE },
    ...pruneFlags,
  ],
  about: "Volumes that a container uses, running or not, stay.",
  async run({ client, config, flags }) {
    const given = flags.list("filter");
    const all = flags.boolean("all");
    if (all && given.some((filter) => filter.startsWith("all=")))
      throw new CommandFailure("conflicting options: cannot specify both --all and --filter all=1");
    const sparesNamed = !all && compareVersions(await client.version(), SPARES_NAMED_SINCE) >= 0;
    const which = sparesNamed ? "anonymous local volumes" : "all local volumes";
    const question = `WARNING! This will remove ${which} not used by at least one container.\nAre you sure you want to continue?`;
    if (!flags.boolean("force") && !confirm(question)) return;
    const filters = pruneFilters(all ? [...given, "all=true"] : given, config.pruneFilters);
    printReclaimed(await prune(client, "volume", { filters }));
  },
};

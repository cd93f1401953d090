import type { Command } from "../command.ts";
import { encodeFilters } from "../options/filters.ts";
import { pruneFlags } from "../options/prune-flags.ts";
import { confirm } from "../output/ask.ts";
import { print } from "../output/print.ts";
import { formatSize } from "../output/units.ts";

export const command: Command = {
  usage: "[OPTIONS]",
  arguments: { min: 0, max: 0 },
  flags: pruneFlags,
  examples: [["container prune -f --filter until=24h", "those made more than a day ago, without asking"]],
  async run({ client, config, flags }) {
    const filters = encodeFilters([...flags.list("filter"), ...config.pruneFilters]);
    if (!flags.boolean("force") && !confirm("WARNING! This will remove all stopped containers.\nAre you sure you want to continue?"))
      return;
    const { ContainersDeleted: deleted, SpaceReclaimed: bytes } = await client.json<{
      ContainersDeleted: string[] | null;
      SpaceReclaimed: number;
    }>("POST", "/containers/prune", { query: { filters } });
    if (deleted !== null && deleted.length > 0) print(`Deleted Containers:\n${deleted.map((id) => `${id}\n`).join("")}\n`);
    print(`Total reclaimed space: ${formatSize(bytes, 4)}\n`);
  },
};

import type { Command } from "../command.ts";
import { encodeFilters } from "../options/filters.ts";
import { pruneFlags } from "../options/prune-flags.ts";
import { confirm } from "../output/ask.ts";
import { print } from "../output/print.ts";
import { formatSize } from "../output/units.ts";
import type { RemovedImage } from "./rmi.ts";

export const command: Command = {
  usage: "[OPTIONS]",
  arguments: { min: 0, max: 0 },
  flags: [{ name: "all", short: "a", kind: "boolean", usage: "All that no container uses, not only those without a name" }, ...pruneFlags],
  async run({ client, config, flags }) {
    const all = flags.boolean("all");
    const filters = encodeFilters([...flags.list("filter"), `dangling=${!all}`, ...config.pruneFilters]);
    const which = all ? "all images without at least one container associated to them" : "all dangling images";
    if (!flags.boolean("force") && !confirm(`WARNING! This will remove ${which}.\nAre you sure you want to continue?`)) return;
    const { ImagesDeleted: deleted, SpaceReclaimed: bytes } = await client.json<{
      ImagesDeleted: RemovedImage[] | null;
      SpaceReclaimed: number;
    }>("POST", "/images/prune", { query: { filters } });
    const lines = (deleted ?? []).map(({ Untagged, Deleted }) => (Untagged ? `untagged: ${Untagged}\n` : `deleted: ${Deleted}\n`));
    if (lines.length > 0) print(`Deleted Images:\n${lines.join("")}\n`);
    print(`Total reclaimed space: ${formatSize(bytes, 4)}\n`);
  },
};

import type { Command } from "../command.ts";
import { containerPath } from "../engine/containers.ts";
import { print } from "../output/print.ts";
import { layOut } from "../output/table.ts";

const MIN_WIDTH = 20;
const PADDING = 3;

export const command: Command = {
  usage: "CONTAINER [ps OPTIONS]",
  arguments: { min: 1 },
  flagsFirst: true,
  flags: [],
  about: "The ids are those of the host. Options are those of the host's ps.",
  examples: [["top web -o pid,etime,args", "which process, how long, what"]],
  async run({ client, args }) {
    const [name = "", ...options] = args;
    const { Titles: titles, Processes: processes } = await client.json<{ Titles: string[]; Processes: string[][] | null }>(
      "GET",
      containerPath(name, "top"),
      { query: { ps_args: options.length === 0 ? undefined : options.join(" ") } },
    );
    const lines = [titles, ...(processes ?? [])].map((cells) => cells.join("\t"));
    print(layOut(`${lines.join("\n")}\n`, MIN_WIDTH, PADDING));
  },
};

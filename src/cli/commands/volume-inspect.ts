import type { Command } from "../command.ts";
import { inspectOne } from "../engine/inspect.ts";
import { inspectFormatFlag } from "../output/format-flag.ts";
import { printInspected } from "../output/inspection.ts";

export const command: Command = {
  usage: "[OPTIONS] VOLUME [VOLUME...]",
  arguments: { min: 1 },
  flags: [inspectFormatFlag],
  examples: [["volume inspect -f '{{.Mountpoint}}' data", "where its files are"]],
  run: ({ client, flags, args }) =>
    printInspected(args, flags.text("format"), async (name) => ({
      ...(await inspectOne(client, "volume", name)),
      structOnly: true,
    })),
};

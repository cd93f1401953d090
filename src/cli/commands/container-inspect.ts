import type { Command } from "../command.ts";
import { inspectOne } from "../engine/inspect.ts";
import { inspectFormatFlag } from "../output/format-flag.ts";
import { printInspected } from "../output/inspection.ts";

export const command: Command = {
  usage: "[OPTIONS] CONTAINER [CONTAINER...]",
  arguments: { min: 1 },
  flags: [inspectFormatFlag, { name: "size", short: "s", kind: "boolean", usage: "Its sizes too" }],
  examples: [["container inspect -f '{{.NetworkSettings.IPAddress}}' web", "its address on the default bridge"]],
  run: ({ client, flags, args }) =>
    printInspected(args, flags.text("format"), (name) =>
      inspectOne(client, "container", name, { size: flags.boolean("size") || undefined }),
    ),
};

import type { Command } from "../command.ts";
import { containerPath } from "../engine/containers.ts";
import { forEach } from "../engine/each.ts";
import { stopFlags, stopQuery } from "../options/stop-flags.ts";
import { printLine } from "../output/print.ts";

export const command: Command = {
  usage: "[OPTIONS] CONTAINER [CONTAINER...]",
  arguments: { min: 1 },
  flags: stopFlags,
  examples: [["restart -t 0 web", "at once, without asking it to end first"]],
  run: ({ client, flags, args }) =>
    forEach(args, (name) => client.text("POST", containerPath(name, "restart"), { query: stopQuery(flags) }), printLine),
};

import type { Command } from "../command.ts";
import { containerPath } from "../engine/containers.ts";
import { forEach } from "../engine/each.ts";
import { stopFlags, stopQuery } from "../options/stop-flags.ts";
import { printLine } from "../output/print.ts";

export const command: Command = {
  usage: "[OPTIONS] CONTAINER [CONTAINER...]",
  arguments: { min: 1 },
  flags: stopFlags,
  about:
    "Sends the container's stop signal (SIGTERM, unless the image or the container says otherwise) and SIGKILL when that did not help.",
  examples: [
    ["stop -t 30 web", "with half a minute to finish its work"],
    ["stop $(tsubo ps -q)", "everything that runs"],
  ],
  run: ({ client, flags, args }) =>
    forEach(args, (name) => client.text("POST", containerPath(name, "stop"), { query: stopQuery(flags) }), printLine),
};

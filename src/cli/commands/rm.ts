import type { Command } from "../command.ts";
import { removeContainer } from "../engine/containers.ts";
import { forEach } from "../engine/each.ts";
import { isNotFound } from "../failure.ts";
import { printLine, warn } from "../output/print.ts";

export const command: Command = {
  usage: "[OPTIONS] CONTAINER [CONTAINER...]",
  arguments: { min: 1 },
  flags: [
    { name: "force", short: "f", kind: "boolean", usage: "Running ones too (by SIGKILL), and none that is not there is an error" },
    { name: "link", short: "l", kind: "boolean", usage: "Remove the link of this name, not a container" },
    { name: "volumes", short: "v", kind: "boolean", usage: "Remove its anonymous volumes too" },
  ],
  examples: [
    ["rm -f web", "stop it at once and remove it"],
    ["rm $(tsubo ps -aq -f status=exited)", "all that have ended"],
  ],
  run: ({ client, flags, args }) => {
    const force = flags.boolean("force");
    const query = { force: force || undefined, link: flags.boolean("link") || undefined, v: flags.boolean("volumes") || undefined };
    return forEach(
      args,
      async (name) => {
        try {
          await removeContainer(client, name, query);
          return true;
        } catch (error) {
          if (!force || !isNotFound(error)) throw error;
          warn(error instanceof Error ? error.message : String(error));
          return false;
        }
      },
      (name, removed) => {
        if (removed) printLine(name);
      },
    );
  },
};

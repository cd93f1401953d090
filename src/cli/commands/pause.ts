import type { Command } from "../command.ts";
import { containerPath } from "../engine/containers.ts";
import { forEach } from "../engine/each.ts";
import { printLine } from "../output/print.ts";

export const command: Command = {
  usage: "CONTAINER [CONTAINER...]",
  arguments: { min: 1 },
  flags: [],
  about: "The processes stop where they are and notice nothing of it; their memory stays. `unpause` lets them go on.",
  run: ({ client, args }) => forEach(args, (name) => client.text("POST", containerPath(name, "pause")), printLine),
};

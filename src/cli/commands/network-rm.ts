import { messageOf } from "../../base/errors.ts";
import type { Command } from "../command.ts";
import { networkPath } from "../engine/networks.ts";
import { CommandFailure, isNotFound } from "../failure.ts";
import { printLine, warn } from "../output/print.ts";

export const command: Command = {
  usage: "NETWORK [NETWORK...]",
  arguments: { min: 1 },
  flags: [{ name: "force", short: "f", kind: "boolean", usage: "None that is not there is an error" }],
  async run({ client, flags, args }) {
    let hasFailed = false;
    for (const name of args) {
      try {
        await client.text("DELETE", networkPath(name));
        printLine(name);
      } catch (error) {
        if (flags.boolean("force") && isNotFound(error)) continue;
        warn(messageOf(error));
        hasFailed = true;
      }
    }
    // Docker's words for it, which scripts compare.
    if (hasFailed) throw new CommandFailure("exit status 1");
  },
};

import { messageOf } from "../../base/errors.ts";
import type { Command } from "../command.ts";
import { segment } from "../engine/client.ts";
import { CommandFailure } from "../failure.ts";
import { printLine } from "../output/print.ts";

export const command: Command = {
  usage: "[OPTIONS] VOLUME [VOLUME...]",
  arguments: { min: 1 },
  flags: [{ name: "force", short: "f", kind: "boolean", usage: "None that is not there is an error", since: "1.25" }],
  about: "One that a container uses, running or not, stays.",
  examples: [["volume rm $(tsubo volume ls -q -f dangling=true)", "all that no container uses"]],
  async run({ client, flags, args }) {
    const query = { force: flags.boolean("force") || undefined };
    const failures: string[] = [];
    for (const name of args.map((each) => each.trim())) {
      try {
        if (name === "") throw new CommandFailure("invalid volume name or ID: value is empty");
        await client.text("DELETE", `/volumes/${segment(name)}`, { query });
        printLine(name);
      } catch (error) {
        failures.push(messageOf(error));
      }
    }
    if (failures.length > 0) throw new CommandFailure(failures.join("\n"));
  },
};

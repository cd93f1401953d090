import type { Command } from "../command.ts";
import { containerPath } from "../engine/containers.ts";
import { CommandFailure, DaemonError } from "../failure.ts";
import { warn } from "../output/print.ts";

export const command: Command = {
  usage: "CONTAINER NEW_NAME",
  arguments: { min: 2, max: 2 },
  flags: [],
  async run({ client, args }) {
    const [from, to] = [(args[0] ?? "").trim(), (args[1] ?? "").trim()];
    if (from === "" || to === "") throw new CommandFailure("Error: Neither old nor new names may be empty");
    try {
      await client.text("POST", containerPath(from, "rename"), { query: { name: to } });
    } catch (error) {
      if (!(error instanceof DaemonError)) throw error;
      warn(error.message);
      throw new CommandFailure(`Error: failed to rename container named ${from}`, 1, { cause: error });
    }
  },
};

import type { Command } from "../command.ts";
import { containerPath } from "../engine/containers.ts";
import { forEach } from "../engine/each.ts";
import { printLine } from "../output/print.ts";

export const command: Command = {
  usage: "[OPTIONS] CONTAINER [CONTAINER...]",
  arguments: { min: 1 },
  flags: [{ name: "signal", short: "s", kind: "text", value: "string", usage: "Signal to send, by name or number (KILL)" }],
  examples: [["kill -s HUP web", "have a server read its settings again"]],
  run: ({ client, flags, args }) =>
    forEach(
      args,
      (name) => client.text("POST", containerPath(name, "kill"), { query: { signal: flags.text("signal") || undefined } }),
      printLine,
    ),
};

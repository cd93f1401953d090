import type { Command } from "../command.ts";
import { containerPath } from "../engine/containers.ts";
import { forEach } from "../engine/each.ts";
import { printLine } from "../output/print.ts";

export const command: Command = {
  usage: "CONTAINER [CONTAINER...]",
  arguments: { min: 1 },
  flags: [],
  about: "One that does not run any more is answered at once.",
  run: ({ client, args }) =>
    forEach(
      args,
      (name) => client.json<{ StatusCode: number }>("POST", containerPath(name, "wait")),
      (_name, { StatusCode }) => printLine(String(StatusCode)),
    ),
};

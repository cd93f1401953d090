import type { Command } from "../command.ts";
import { containerPath } from "../engine/containers.ts";
import { CommandFailure } from "../failure.ts";
import { print } from "../output/print.ts";

/** What became of a path, by the number that the engine has for it. */
const KINDS = ["C", "A", "D"];

export const command: Command = {
  usage: "CONTAINER",
  arguments: { min: 1, max: 1 },
  flags: [],
  about: "Each path with what became of it since the container was made: A added, C changed, D deleted.",
  async run({ client, args }) {
    const [container = ""] = args;
    if (container === "") throw new CommandFailure("Container name cannot be empty");
    const changes = await client.json<{ Kind: number; Path: string }[] | null>("GET", containerPath(container, "changes"));
    print((changes ?? []).map(({ Kind, Path }) => `${KINDS[Kind] ?? ""} ${Path}\n`).join(""));
  },
};

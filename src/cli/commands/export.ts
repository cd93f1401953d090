import type { Command } from "../command.ts";
import { containerPath } from "../engine/containers.ts";
import { saveArchive } from "../output/save-file.ts";

export const command: Command = {
  usage: "[OPTIONS] CONTAINER",
  arguments: { min: 1, max: 1 },
  flags: [{ name: "output", short: "o", kind: "text", value: "string", usage: "File to write, instead of standard output" }],
  about: "Its files alone, without what is in volumes. `import` makes an image of them again.",
  examples: [["export web | tar t", "what is in there"]],
  run: ({ client, flags, args }) =>
    saveArchive(flags.text("output"), "export container", () => client.request("GET", containerPath(args[0] ?? "", "export"))),
};

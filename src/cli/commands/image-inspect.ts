import type { Command } from "../command.ts";
import { inspectOne } from "../engine/inspect.ts";
import { encodePlatform } from "../options/platform.ts";
import { inspectFormatFlag } from "../output/format-flag.ts";
import { printInspected } from "../output/inspection.ts";

export const command: Command = {
  usage: "[OPTIONS] IMAGE [IMAGE...]",
  arguments: { min: 1 },
  flags: [
    inspectFormatFlag,
    { name: "platform", kind: "text", value: "string", usage: "The variant for this platform (os[/arch[/variant]])", since: "1.49" },
  ],
  examples: [["image inspect -f '{{.Config.Entrypoint}} {{.Config.Cmd}}' debian", "what it runs by itself"]],
  run({ client, flags, args }) {
    const query = { platform: encodePlatform(flags.text("platform")) };
    return printInspected(args, flags.text("format"), (name) => inspectOne(client, "image", name, query));
  },
};

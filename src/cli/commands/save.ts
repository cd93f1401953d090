import type { Command } from "../command.ts";
import { archivePlatform } from "../options/platform.ts";
import { saveArchive } from "../output/save-file.ts";

export const command: Command = {
  usage: "[OPTIONS] IMAGE [IMAGE...]",
  arguments: { min: 1 },
  flags: [
    { name: "output", short: "o", kind: "text", value: "string", usage: "File to write, instead of standard output" },
    { name: "platform", kind: "text", value: "string", usage: "Only the variant for this platform (os[/arch[/variant]])", since: "1.48" },
  ],
  about: "Images that share layers share them in the archive too.",
  examples: [
    ["save -o app.tar app:1 app:2", "two images in one file"],
    ["save app | ssh other tsubo load", "to another machine, without a registry"],
  ],
  run({ client, flags, args }) {
    const query = { names: args, platform: archivePlatform(flags) };
    return saveArchive(flags.text("output"), "save image", () => client.request("GET", "/images/get", { query }));
  },
};

import type { Command } from "../command.ts";
import { openArchive } from "../engine/archive.ts";
import { CommandFailure } from "../failure.ts";
import { archivePlatform } from "../options/platform.ts";
import { isTerminal } from "../output/print.ts";
import { showProgress } from "../output/progress.ts";

export const command: Command = {
  usage: "[OPTIONS]",
  arguments: { min: 0, max: 0 },
  flags: [
    { name: "input", short: "i", kind: "text", value: "string", usage: "File to read, instead of standard input" },
    { name: "platform", kind: "text", value: "string", usage: "Only the variant for this platform (os[/arch[/variant]])", since: "1.48" },
    { name: "quiet", short: "q", kind: "boolean", usage: "Print only what was loaded" },
  ],
  about: "Takes what `save` wrote, and OCI layouts, as a tar archive, plain or compressed.",
  examples: [["load -i app.tar", "the images in a file, with their names"]],
  async run({ client, flags }) {
    const file = flags.text("input");
    if (file === "" && isTerminal(0)) throw new CommandFailure("requested load from stdin, but stdin is empty");
    const platform = archivePlatform(flags);
    const body = await client.request("POST", "/images/load", {
      query: { quiet: flags.boolean("quiet") || !isTerminal(1), platform },
      stream: file === "" ? process.stdin : openArchive(file),
      headers: { "Content-Type": "application/x-tar" },
    });
    await showProgress(body, 1);
  },
};

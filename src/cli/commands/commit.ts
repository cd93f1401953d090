import type { Command } from "../command.ts";
import { CommandFailure } from "../failure.ts";
import { printLine } from "../output/print.ts";
import { parseReference, withDefaultTag } from "../reference.ts";

export const command: Command = {
  usage: "[OPTIONS] CONTAINER [REPOSITORY[:TAG]]",
  arguments: { min: 1, max: 2 },
  flagsFirst: true,
  flags: [
    { name: "author", short: "a", kind: "text", value: "string", usage: "Who made it, such as 'Ada <ada@example.org>'" },
    { name: "change", short: "c", kind: "list", value: "list", usage: "Dockerfile instruction for the image (CMD, ENV, EXPOSE, …)" },
    { name: "message", short: "m", kind: "text", value: "string", usage: "A word on it, for the history" },
    { name: "pause", short: "p", kind: "boolean", initial: "true", usage: "Freeze the container meanwhile" },
  ],
  about: "What lies in volumes and bind mounts does not become part of the image.",
  examples: [["commit -c 'CMD [\"serve\"]' web app:debug", "with the command it runs by itself"]],
  async run({ client, flags, args }) {
    const [container = "", name = ""] = args;
    const reference = name === "" ? undefined : withDefaultTag(parseReference(name));
    if (reference?.digest !== undefined) throw new CommandFailure("refusing to create a tag with a digest reference");
    const { Id: id } = await client.json<{ Id: string }>("POST", "/commit", {
      query: {
        container,
        repo: reference && `${reference.domain}/${reference.path}`,
        tag: reference?.tag,
        comment: flags.text("message"),
        author: flags.text("author"),
        changes: flags.list("change"),
        pause: flags.boolean("pause") ? undefined : false,
      },
      body: null,
    });
    printLine(id);
  },
};

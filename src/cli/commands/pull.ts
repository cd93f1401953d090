import type { Command } from "../command.ts";
import { pullImage } from "../engine/pull.ts";
import { CommandFailure } from "../failure.ts";
import { platformFlag } from "../options/platform.ts";
import { printLine } from "../output/print.ts";
import { fullString, parseReference, withDefaultTag } from "../reference.ts";

export const command: Command = {
  usage: "[OPTIONS] NAME[:TAG|@DIGEST]",
  arguments: { min: 1, max: 1 },
  flags: [
    { name: "all-tags", short: "a", kind: "boolean", usage: "Every tag of the repository" },
    { name: "disable-content-trust", kind: "boolean", initial: "true", usage: "", hidden: true },
    { name: "platform", kind: "text", value: "string", usage: "Platform of the image, such as linux/arm64", since: "1.32" },
    { name: "quiet", short: "q", kind: "boolean", usage: "Print only the image's full name" },
  ],
  examples: [
    ["pull debian:12", "from Docker Hub"],
    ["pull registry.example.org:5000/team/app@sha256:…", "exactly this one, from a registry of your own"],
  ],
  async run(call) {
    const { flags, args } = call;
    const [image = ""] = args;
    const allTags = flags.boolean("all-tags");
    const given = parseReference(image);
    const isNameOnly = given.tag === undefined && given.digest === undefined;
    if (allTags && !isNameOnly) throw new CommandFailure("tag can't be used with --all-tags/-a");
    const quiet = flags.boolean("quiet");
    const reference = allTags ? given : withDefaultTag(given);
    if (!allTags && isNameOnly && !quiet) printLine(`Using default tag: ${reference.tag}`);
    await pullImage(call, { image, platform: platformFlag(flags), allTags, to: quiet ? undefined : 1 });
    printLine(fullString(reference));
  },
};

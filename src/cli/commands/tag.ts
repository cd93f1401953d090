import type { Command } from "../command.ts";
import { segment } from "../engine/client.ts";
import { CommandFailure } from "../failure.ts";
import { familiarName, parseReference, withDefaultTag, type ImageReference } from "../reference.ts";
import { messageOf } from "../../base/errors.ts";

export const command: Command = {
  usage: "SOURCE_IMAGE[:TAG] TARGET_IMAGE[:TAG]",
  arguments: { min: 2, max: 2 },
  flags: [],
  about: "Both names then stand for the same image. A name that another image had moves to this one.",
  examples: [["tag app registry.example.org/team/app:1.2", "name it for a registry, to push it there"]],
  async run({ client, args }) {
    const [source = "", target = ""] = args;
    if (!/^[a-f0-9]{64}$/.test(source) && !/^sha256:[a-f0-9]{64}$/.test(source)) parse(source);
    const reference = withDefaultTag(parse(target));
    if (reference.digest !== undefined) throw new CommandFailure("refusing to create a tag with a digest reference");
    await client.text("POST", `/images/${segment(source)}/tag`, { query: { repo: familiarName(reference), tag: reference.tag } });
  },
};

function parse(text: string): ImageReference {
  try {
    return parseReference(text);
  } catch (error) {
    throw new CommandFailure(`Error parsing reference: ${JSON.stringify(text)} is not a valid repository/tag: ${messageOf(error)}`, 1, {
      cause: error,
    });
  }
}

import type { Command } from "../command.ts";
import { inspectAny, inspectOne, kindNames, type Kind } from "../engine/inspect.ts";
import { CommandFailure } from "../failure.ts";
import { inspectFormatFlag } from "../output/format-flag.ts";
import { printInspected } from "../output/inspection.ts";
import { warn } from "../output/print.ts";

export const command: Command = {
  usage: "[OPTIONS] NAME|ID [NAME|ID...]",
  arguments: { min: 1 },
  flags: [
    inspectFormatFlag,
    { name: "size", short: "s", kind: "boolean", usage: "A container's sizes too" },
    { name: "type", kind: "text", value: "string", usage: "Only things of this kind: container, image, network, volume, …" },
  ],
  about: "Looks for a container of this name, then an image, a network, a volume.",
  examples: [
    ["inspect -f '{{.State.Status}} {{.State.ExitCode}}' web", "what became of it"],
    ["inspect -f '{{json .Mounts}}' web", "one part, as JSON"],
  ],
  run({ client, flags, args }) {
    const size = flags.boolean("size");
    const kind = flags.text("type");
    if (flags.changed("type") && kind === "") throw new CommandFailure("type is empty: must be one of " + quoted());
    if (kind !== "" && !isKind(kind)) throw new CommandFailure(`unknown type: ${JSON.stringify(kind)}: must be one of ${quoted()}`);
    return printInspected(args, flags.text("format"), (name) => {
      if (!isKind(kind)) return inspectAny(client, name, { size });
      if (size && kind !== "container") warn(`WARNING: --size ignored for ${kind}`);
      return inspectOne(client, kind, name, size && kind === "container" ? { size } : {});
    });
  },
};

function isKind(text: string): text is Kind {
  return kindNames.includes(text);
}

function quoted(): string {
  return kindNames.map((name) => JSON.stringify(name)).join(", ");
}

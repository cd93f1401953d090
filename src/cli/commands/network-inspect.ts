import type { Command } from "../command.ts";
import { inspectOne } from "../engine/inspect.ts";
import { inspectFormatFlag } from "../output/format-flag.ts";
import { printInspected } from "../output/inspection.ts";

export const command: Command = {
  usage: "[OPTIONS] NETWORK [NETWORK...]",
  arguments: { min: 1 },
  flags: [inspectFormatFlag, { name: "verbose", short: "v", kind: "boolean", usage: "Details for the search of errors" }],
  examples: [["network inspect -f '{{range .Containers}}{{.Name}} {{.IPv4Address}}{{println}}{{end}}' bridge", "who is on it"]],
  run: ({ client, flags, args }) =>
    printInspected(args, flags.text("format"), (name) =>
      inspectOne(client, "network", name, { verbose: flags.boolean("verbose") || undefined }),
    ),
};

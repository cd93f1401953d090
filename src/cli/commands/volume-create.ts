import type { Command } from "../command.ts";
import { CommandFailure } from "../failure.ts";
import { checkLabel } from "../options/environment.ts";
import { toMap } from "../options/values.ts";
import { printLine } from "../output/print.ts";

export const command: Command = {
  usage: "[OPTIONS] [VOLUME]",
  arguments: { min: 0, max: 1 },
  flags: [
    { name: "driver", short: "d", kind: "text", value: "string", initial: "local", usage: "What keeps the volume" },
    { name: "label", kind: "list", value: "list", usage: "Label (key=value)", check: checkLabel },
    { name: "name", kind: "text", value: "string", usage: "", hidden: true },
    {
      name: "opt",
      short: "o",
      kind: "list",
      value: "map",
      usage: "Option of the driver (key=value), for local: type, device, o, as for mount",
    },
  ],
  about: "Without a name it gets one of 64 digits. One that is there already is left as it is.",
  examples: [
    ["volume create data", "for run -v data:/var/lib/x"],
    ["volume create -o type=tmpfs -o device=tmpfs -o o=size=100m cache", "in memory"],
  ],
  async run({ client, flags, args }) {
    if (flags.changed("name") && args.length > 0)
      throw new CommandFailure("conflicting options: cannot specify a volume-name through both --name and as a positional arg");
    const name = args[0] ?? flags.text("name");
    const options = toMap(flags.list("opt"));
    const labels = toMap(flags.list("label"));
    const body = {
      Driver: flags.text("driver"),
      ...(Object.keys(options).length > 0 && { DriverOpts: options }),
      ...(Object.keys(labels).length > 0 && { Labels: labels }),
      ...(name && { Name: name }),
    };
    printLine((await client.json<{ Name: string }>("POST", "/volumes/create", { body })).Name);
  },
};

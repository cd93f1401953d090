import type { Command } from "../command.ts";
import { createContainer, readCreateOptions } from "../engine/containers.ts";
import { proxyVariables } from "../engine/proxies.ts";
import { containerFlags } from "../options/container-flags.ts";
import { readContainerOptions } from "../options/container-options.ts";
import { printLine } from "../output/print.ts";
import { withHelp } from "./run.ts";

export const command: Command = {
  usage: "[OPTIONS] IMAGE [COMMAND] [ARG...]",
  arguments: { min: 1 },
  flagsFirst: true,
  flags: containerFlags,
  examples: [["create --name data -v /var/lib/data busybox", "a container that only holds a volume"]],
  async run(call) {
    let container;
    let options;
    try {
      options = readCreateOptions(call);
      container = readContainerOptions(call.flags, call.args, proxyVariables(call, call.flags.list("env")));
    } catch (error) {
      throw withHelp(error, "create", 125);
    }
    printLine(await createContainer(call, container, options));
  },
};

import type { Command } from "../command.ts";
import { checkContainerName } from "../engine/containers.ts";
import { networkPath } from "../engine/networks.ts";

export const command: Command = {
  usage: "[OPTIONS] NETWORK CONTAINER",
  arguments: { min: 2, max: 2 },
  flags: [{ name: "force", short: "f", kind: "boolean", usage: "Also what is left of a container that is gone" }],
  async run({ client, flags, args: [network = "", container = ""] }) {
    const path = networkPath(network, "disconnect");
    await client.text("POST", path, { body: { Container: checkContainerName(container), Force: flags.boolean("force") } });
  },
};

import type { Command } from "../command.ts";
import { inspectContainer } from "../engine/containers.ts";
import { CommandFailure } from "../failure.ts";
import { hostPort } from "../output/containers-list.ts";
import { print } from "../output/print.ts";
import { cut, parseUnsigned } from "../options/values.ts";
import { messageOf } from "../../base/errors.ts";

export const command: Command = {
  usage: "CONTAINER [PRIVATE_PORT[/PROTO]]",
  arguments: { min: 1, max: 2 },
  flags: [],
  examples: [["port web 80", "where port 80 of the container is reached"]],
  async run({ client, args }) {
    const [name = "", wanted] = args;
    const { NetworkSettings } = await inspectContainer(client, name);
    const published = Object.entries(NetworkSettings.Ports ?? {}).flatMap(([port, bindings]) =>
      (bindings ?? []).map(({ HostIp, HostPort }) => ({ port, address: hostPort(HostIp, HostPort) })),
    );
    if (wanted === undefined) {
      const lines = published.map(({ port, address }) => `${port} -> ${address}\n`);
      print(lines.sort((a, b) => a.localeCompare(b, "en", { numeric: true })).join(""));
      return;
    }
    const port = parsePort(wanted);
    const found = published.filter((each) => each.port === port);
    if (found.length === 0) throw new CommandFailure(`Error: No public port '${wanted}' published for ${name}`);
    print(found.map(({ address }) => `${address}\n`).join(""));
  },
};

function parsePort(text: string): string {
  const [number, protocol = "tcp"] = cut(text, "/");
  try {
    parseUnsigned(number, 16);
  } catch (error) {
    throw new CommandFailure(`Error: invalid port (${number}): ${messageOf(error)}`, 1, { cause: error });
  }
  return `${number}/${protocol}`;
}

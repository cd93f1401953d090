import type { Command } from "../command.ts";
import { networkPath } from "../engine/networks.ts";
import { checkContainerName } from "../engine/containers.ts";
import { checkLink } from "../options/networks.ts";
import { splitLists, stringsFlag } from "../options/string-lists.ts";
import { cut } from "../options/values.ts";

export const command: Command = {
  usage: "[OPTIONS] NETWORK CONTAINER",
  arguments: { min: 2, max: 2 },
  flags: [
    stringsFlag("alias", "Another name of the container on this network"),
    stringsFlag("driver-opt", "Option of the network's driver (key=value)"),
    {
      name: "gw-priority",
      kind: "integer",
      value: "int",
      usage: "The network with the highest is the container's way out; may be negative",
    },
    { name: "ip", kind: "text", value: "string", usage: "IPv4 address" },
    { name: "ip6", kind: "text", value: "string", usage: "IPv6 address" },
    { name: "link", kind: "list", value: "list", usage: "Another container, by name or name:alias", check: checkLink },
    stringsFlag("link-local-ip", "Link-local address"),
  ],
  about: "A container that runs is on the network at once.",
  examples: [["network connect --alias db backend postgres", "by a second name"]],
  async run({ client, flags, args: [network = "", container = ""] }) {
    const driverOptions = Object.fromEntries(splitLists(flags.list("driver-opt")).map(parseDriverOption));
    const links = flags.list("link");
    const linkLocal = splitLists(flags.list("link-local-ip"));
    const [ipv4, ipv6] = [flags.text("ip"), flags.text("ip6")];
    const path = networkPath(network, "connect");
    await client.text("POST", path, {
      body: {
        Container: checkContainerName(container),
        EndpointConfig: {
          IPAMConfig: {
            ...(ipv4 && { IPv4Address: ipv4 }),
            ...(ipv6 && { IPv6Address: ipv6 }),
            ...(linkLocal.length > 0 && { LinkLocalIPs: linkLocal }),
          },
          Links: links.length > 0 ? links : null,
          Aliases: splitLists(flags.list("alias")),
          DriverOpts: driverOptions,
          GwPriority: flags.integer("gw-priority"),
        },
      },
    });
  },
};

function parseDriverOption(text: string): [string, string] {
  const [key, value] = cut(text, "=");
  if (key.trim() === "" || value === undefined) throw new Error("invalid key/value pair format in driver options");
  return [key.trim(), value.trim()];
}

import type { Command } from "../command.ts";
import { checkLabel } from "../options/environment.ts";
import { groupBySubnet } from "../options/ipam.ts";
import { splitLists, stringsFlag } from "../options/string-lists.ts";
import { toMap } from "../options/values.ts";
import { printLine } from "../output/print.ts";

export const command: Command = {
  usage: "[OPTIONS] NETWORK",
  arguments: { min: 1, max: 1 },
  flags: [
    { name: "attachable", kind: "boolean", usage: "Containers may be attached by hand", since: "1.25" },
    { name: "aux-address", kind: "list", value: "map", usage: "Address to keep for something else (name=address)" },
    { name: "config-from", kind: "text", value: "string", usage: "Network that says how this one is", since: "1.30" },
    { name: "config-only", kind: "boolean", usage: "No network yet, only how others are to be", since: "1.30" },
    { name: "driver", short: "d", kind: "text", value: "string", initial: "bridge", usage: "What makes the network" },
    stringsFlag("gateway", "Gateway of a subnet"),
    { name: "ingress", kind: "boolean", usage: "The routing mesh of a Swarm cluster", since: "1.29" },
    { name: "internal", kind: "boolean", usage: "No way to the outside" },
    stringsFlag("ip-range", "Part of a subnet that addresses are taken from"),
    { name: "ipam-driver", kind: "text", value: "string", initial: "default", usage: "What hands out addresses" },
    { name: "ipam-opt", kind: "list", value: "map", usage: "Option of what hands out addresses (key=value)" },
    { name: "ipv4", kind: "boolean", initial: "true", usage: "IPv4 addresses for its containers" },
    { name: "ipv6", kind: "boolean", usage: "IPv6 addresses for its containers" },
    { name: "label", kind: "list", value: "list", usage: "Label (key=value)", check: checkLabel },
    { name: "opt", short: "o", kind: "list", value: "map", usage: "Option of the driver (key=value)" },
    { name: "scope", kind: "text", value: "string", usage: "How far it reaches: local, swarm", since: "1.30" },
    stringsFlag("subnet", "Its addresses (10.9.0.0/16)"),
  ],
  about: "Containers on it reach each other by name.",
  examples: [
    ["network create backend", "the engine picks the addresses"],
    ["network create --subnet 10.9.0.0/16 --gateway 10.9.0.1 --internal backend", "addresses of your own, no way out"],
    ["network create --ipv6 --subnet fd00:9::/64 backend", "IPv6 beside IPv4"],
  ],
  async run({ client, flags, args }) {
    const configFrom = flags.text("config-from");
    const ipam = groupBySubnet({
      subnets: splitLists(flags.list("subnet")),
      ranges: splitLists(flags.list("ip-range")),
      gateways: splitLists(flags.list("gateway")),
      auxiliary: toMap(flags.list("aux-address")),
    });
    const { Id: id } = await client.json<{ Id: string }>("POST", "/networks/create", {
      body: {
        Name: args[0],
        Driver: flags.text("driver"),
        Scope: flags.text("scope"),
        ...(flags.changed("ipv4") && { EnableIPv4: flags.boolean("ipv4") }),
        ...(flags.changed("ipv6") && { EnableIPv6: flags.boolean("ipv6") }),
        IPAM: { Driver: flags.text("ipam-driver"), Options: toMap(flags.list("ipam-opt")), Config: ipam },
        Internal: flags.boolean("internal"),
        Attachable: flags.boolean("attachable"),
        Ingress: flags.boolean("ingress"),
        ConfigOnly: flags.boolean("config-only"),
        ConfigFrom: configFrom === "" ? null : { Network: configFrom },
        Options: toMap(flags.list("opt")),
        Labels: toMap(flags.list("label")),
      },
    });
    printLine(id);
  },
};

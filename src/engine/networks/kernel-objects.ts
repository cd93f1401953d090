import type { FirewallElement } from "../../kernel/net/firewall.ts";
import type { ObjectsFound } from "../../kernel/net/operations.ts";
import { LINK_PREFIX } from "../../kernel/net/links.ts";
import type { EndpointRecord } from "./endpoint-records.ts";
import { endpointElements, HOST_SETS, networkElements } from "./firewall-rules.ts";
import type { NetworkRecord } from "./network-records.ts";
import type { KernelObject } from "./networks.ts";
import type { HostPort } from "./port-holder.ts";

/** What the database says must be in the kernel, and what is there, both as lists of names that can be compared. Pure. */
export function expectedObjects(networks: readonly NetworkRecord[], endpoints: readonly EndpointRecord[]): KernelObject[] {
  const containers = new Set(endpoints.map((endpoint) => endpoint.containerId));
  const elements = [...networks.flatMap(networkElements), ...endpoints.flatMap(endpointElements)];
  return [
    ...[...containers].map((name): KernelObject => ({ kind: "namespace", name })),
    ...endpoints
      .filter((endpoint) => endpoint.hostLink !== "")
      .map((endpoint): KernelObject => ({ kind: "link", name: endpoint.hostLink })),
    ...networks.flatMap((network): KernelObject[] => (network.bridge ? [{ kind: "bridge", name: network.bridge.name }] : [])),
    ...elements.map(ruleOf),
    ...endpoints.flatMap((endpoint) => endpoint.ports).map(portOf),
  ];
}

/** The same of what was found. Not the host's own links; not ports that others put on a bridge of ours. */
export function foundObjects(found: ObjectsFound, heldPorts: readonly HostPort[]): KernelObject[] {
  return [
    ...found.namespaces.map(({ name, mounted }): KernelObject => ({ kind: "namespace", name: mounted ? name : `${name} (not mounted)` })),
    ...found.ports.filter(({ link }) => link.startsWith(LINK_PREFIX)).map(({ link }): KernelObject => ({ kind: "link", name: link })),
    ...found.bridges.map((name): KernelObject => ({ kind: "bridge", name })),
    ...found.elements.filter(({ set }) => !HOST_SETS.includes(set)).map(ruleOf),
    ...heldPorts.map(portOf),
  ];
}

function ruleOf({ set, key, value = "" }: FirewallElement): KernelObject {
  return { kind: "rule", name: `${set} ${key.replaceAll('"', "")}${value === "" ? "" : ` : ${value}`}` };
}

function portOf({ protocol, hostAddress, hostPort }: HostPort): KernelObject {
  return { kind: "port", name: `${hostAddress} ${hostPort}/${protocol}` };
}

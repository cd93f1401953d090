import { EngineError } from "../../base/errors.ts";
import type { HostConfig } from "../../api/container-config.ts";
import type { Endpoint, LinkedPort } from "../networks/networks.ts";
import { isRunning, type Container } from "./container.ts";
import type { ContainerSet } from "./container-set.ts";
import type { ContainerContext } from "./context.ts";
import { isUserDefined } from "./endpoint-requests.ts";
import { rewriteHosts } from "./hosts-entries.ts";
import { parsePort, type ContainerPort } from "./ports.ts";

/**
 * Links on the default network (`--link name:alias`): the container that has one finds the other by its alias, knows its ports by its
 * environment, and may reach them where the network is closed (`icc=false`). On user-defined networks a link is a name in the DNS.
 */
export interface Link {
  containerId: string;
  /** Its name when the link was made: for messages once it is gone. */
  name: string;
  alias: string;
}

/** Reads `name[:alias]`, and `/name:/other/alias` as inspect shows it (moby opts.ParseLink). */
export function parseLink(text: string): { name: string; alias: string } {
  const parts = text.split(":");
  const [name = "", alias = name] = parts;
  if (text === "") throw new EngineError("invalid", "empty string specified for links");
  if (parts.length > 2 || name === "" || alias === "") throw new EngineError("invalid", `bad format for links: ${text}`);
  return { name: name.replace(/^\//, ""), alias: alias.slice(alias.lastIndexOf("/") + 1) };
}

/** The links that a create request asks for; none on a user-defined network. */
export function resolveLinks({ Links, NetworkMode }: HostConfig, find: (name: string) => Named | undefined): Link[] {
  const parsed = (Links ?? []).map(parseLink);
  if (isUserDefined(NetworkMode)) return [];
  return parsed.map(({ name, alias }) => {
    const other = find(name);
    // Not `notFound`: clients would take it for a missing image and pull.
    if (other === undefined) throw new EngineError("invalid", `could not get container for ${name}: No such container: ${name}`);
    if (other.hostConfig.NetworkMode === "host")
      throw new EngineError(
        "invalid",
        "conflicting options: host type networking can't be used with links. This would result in undefined behavior",
      );
    return { containerId: other.id, name: other.name, alias };
  });
}

type Named = Pick<Container, "id" | "name" | "hostConfig">;

/** As inspect and list show links: `/pub:/web/alias` beside the one that has it, `/web/alias` beside the other. */
export function linkNames(container: Container, set: Pick<ContainerSet, "find">): string[] {
  return container.links.map(({ alias, containerId, name }) => `/${set.find(containerId)?.name ?? name}:/${container.name}/${alias}`);
}

export function aliasesOf(container: Pick<Container, "id">, all: readonly Container[]): string[] {
  return all.flatMap((other) =>
    other.links.filter(({ containerId }) => containerId === container.id).map(({ alias }) => `/${other.name}/${alias}`),
  );
}

export interface ActiveLink {
  alias: string;
  linked: Container;
  endpoint: Endpoint;
}

/** The links of a container that starts; each must lead to one that runs. */
export function activeLinks(context: Pick<ContainerContext, "set" | "networks">, container: Container): ActiveLink[] {
  return container.links.map((link) => {
    const active = activeLink(context, container, link);
    if (active !== undefined) return active;
    const name = context.set.find(link.containerId)?.name ?? link.name;
    throw new EngineError("conflict", `Cannot link to a non running container: /${name} AS /${container.name}/${link.alias}`);
  });
}

/** Those that lead to containers that run: another tells its address when it starts. */
export function activeLinksIfAny(context: Pick<ContainerContext, "set" | "networks">, container: Container): ActiveLink[] {
  return container.links.flatMap((link) => activeLink(context, container, link) ?? []);
}

function activeLink(
  { set, networks }: Pick<ContainerContext, "set" | "networks">,
  { hostConfig }: Container,
  { alias, containerId }: Link,
): ActiveLink | undefined {
  const linked = set.find(containerId);
  const endpoint = networks.endpointsOf(containerId).find(({ networkName }) => networkName === hostConfig.NetworkMode);
  return linked === undefined || !isRunning(linked) || endpoint === undefined ? undefined : { alias, linked, endpoint };
}

/** What a link adds to the environment (moby daemon/links). */
export function linkEnvironment(container: Pick<Container, "name">, { alias, linked, endpoint }: ActiveLink): string[] {
  const prefix = alias.toUpperCase().replaceAll("-", "_");
  const address = endpoint.ipv4Address;
  const ports = exposedPorts(linked);
  const url = ({ port, protocol }: ContainerPort): string => `${protocol}://${address}:${port}`;
  const [first] = ports;
  return [
    ...(first === undefined ? [] : [`${prefix}_PORT=${url(first)}`]),
    ...ports.flatMap((port) => {
      const name = `${prefix}_PORT_${port.port}_${port.protocol.toUpperCase()}`;
      return [`${name}=${url(port)}`, `${name}_ADDR=${address}`, `${name}_PORT=${port.port}`, `${name}_PROTO=${port.protocol}`];
    }),
    `${prefix}_NAME=/${container.name}/${alias}`,
    ...(linked.config.Env ?? [])
      .filter((entry) => entry.includes("=") && !/^(?:HOME|PATH)=/.test(entry))
      .map((entry) => `${prefix}_ENV_${entry}`),
  ];
}

/** What a closed network lets through for a link. */
export function linkedPorts({ linked, endpoint }: ActiveLink): LinkedPort[] {
  return exposedPorts(linked).map(({ port, protocol }) => ({ address: endpoint.ipv4Address, port, protocol }));
}

/** The line of /etc/hosts. */
export function linkHostsLine({ alias, linked, endpoint }: ActiveLink): string {
  return `${endpoint.ipv4Address}\t${linkedNames(alias, linked)}`;
}

function linkedNames(alias: string, linked: Container): string {
  return [alias, linked.config.Hostname, ...(alias === linked.name ? [] : [linked.name])].join(" ");
}

/** A container that has started has another address perhaps: those that run and are linked to it are told. */
export async function tellLinked(context: ContainerContext, container: Container): Promise<void> {
  for (const other of context.set.all()) {
    const links = other.links.filter(({ containerId }) => containerId === container.id);
    if (links.length === 0 || !isRunning(other)) continue;
    const endpoint = context.networks.endpointsOf(container.id).find(({ networkName }) => networkName === other.hostConfig.NetworkMode);
    if (endpoint === undefined) continue;
    const lines = new Map(links.map(({ alias }) => [linkedNames(alias, container), linkHostsLine({ alias, linked: container, endpoint })]));
    await rewriteHosts(context, other.id, (before) => before.map((line) => lines.get(line.slice(line.indexOf("\t") + 1)) ?? line));
    await context.networks.allow(other.id, activeLinksIfAny(context, other).flatMap(linkedPorts));
  }
}

/** `DELETE /containers/{name}?link=1`, the name being that of a link: `/web/alias`. What it opened is closed at once. */
export async function removeLink(context: ContainerContext, path: string): Promise<void> {
  const [, parent = "", alias = ""] = /^\/?(.+)\/([^/]+)$/.exec(path) ?? [];
  if (parent === "") throw new EngineError("conflict", `cannot remove the default link name of the container ${path}`);
  const container = context.set.find(parent);
  if (container === undefined) throw new EngineError("notFound", `cannot get parent ${parent} for link name ${path}`);
  await context.set.locked(container, async () => {
    if (!container.links.some((link) => link.alias === alias)) throw new EngineError("notFound", `No such link: ${path}`);
    container.links = container.links.filter((link) => link.alias !== alias);
    await context.set.save(container);
    if (isRunning(container)) await context.networks.allow(container.id, activeLinksIfAny(context, container).flatMap(linkedPorts));
  });
}

/** By number, TCP before UDP: the first is the one that `ALIAS_PORT` names. */
function exposedPorts({ config }: Container): ContainerPort[] {
  return [...(config.ExposedPorts?.keys() ?? [])].map(parsePort).toSorted((a, b) => a.port - b.port || (a.protocol < b.protocol ? -1 : 1));
}

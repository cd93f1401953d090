import { writeFile } from "node:fs/promises";
import path from "node:path";

import { EngineError } from "../../base/errors.ts";
import { paths } from "../../store/roots.ts";
import { hostnameFile, hostsFile } from "../networks/host-files.ts";
import type { Joined } from "../networks/networks.ts";
import type { Container } from "./container.ts";
import type { ContainerContext } from "./context.ts";
import { endpointRequestsOf } from "./endpoint-requests.ts";
import { activeLinks, linkedPorts, linkEnvironment, linkHostsLine } from "./links.ts";
import { portRequestsOf } from "./ports.ts";
import { openResolver, readIfThere } from "./resolver.ts";

/** Where a container's network comes from, for the OCI spec. */
export interface ContainerNetwork {
  /** Path of the namespace; undefined: the host's own. */
  netnsPath: string | undefined;
  /** Files to be bound over the image's own; those of the other container where the network is shared. */
  files: NetworkFiles;
  /** What the container is told of those it is linked to. */
  environment: string[];
}

export interface NetworkFiles {
  hosts: string;
  hostname: string;
  resolvConf: string;
}

const HOSTS = "/etc/hosts";

/** Joins a container to its network by its mode, and writes the files that tell it who it is. */
export async function joinNetworks(context: ContainerContext, container: Container): Promise<ContainerNetwork> {
  const mode = container.hostConfig.NetworkMode;
  if (mode.startsWith("container:")) return shareNetwork(context, mode.slice("container:".length));

  const links = container.links.length === 0 ? [] : activeLinks(context, container);
  const joined =
    mode === "host"
      ? undefined
      : await context.networks.join({
          containerId: container.id,
          containerName: container.name,
          endpoints: endpointRequestsOf(container).map((request) =>
            request.network === mode ? { ...request, linkedPorts: links.flatMap(linkedPorts) } : request,
          ),
          ports: portRequestsOf(container.config, container.hostConfig),
        });
  const files = networkFilesOf(context, container.id);
  await writeFiles(context, container, files, joined, links.map(linkHostsLine));
  const environment = links.flatMap((link) => linkEnvironment(container, link));
  return { netnsPath: joined?.netnsPath, files, environment };
}

async function writeFiles(
  context: ContainerContext,
  container: Container,
  files: NetworkFiles,
  joined: Joined | undefined,
  linkLines: string[],
): Promise<void> {
  const { config, hostConfig } = container;
  const endpoint = joined?.endpoints.find(({ isGateway }) => isGateway) ?? joined?.endpoints[0];
  await Promise.all([
    writeFile(files.hostname, hostnameFile(config.Hostname)),
    writeFile(
      files.hosts,
      hostsFile({
        hostname: config.Hostname,
        domainname: config.Domainname,
        endpoints: joined?.endpoints,
        gateway: endpoint?.gateway || undefined,
        extraHosts: hostConfig.ExtraHosts,
        linkLines,
        hostFile: joined === undefined ? readIfThere(HOSTS) : undefined,
      }),
    ),
    openResolver(context, container, joined?.endpoints),
  ]);
}

/** The network of another container, which must run. */
function shareNetwork(context: ContainerContext, name: string): ContainerNetwork {
  const other = context.set.get(name);
  if (other.state.status !== "running") {
    throw new EngineError("conflict", `cannot join network of a non running container: ${other.id}`);
  }
  return { netnsPath: `/proc/${other.state.pid}/ns/net`, files: networkFilesOf(context, other.id), environment: [] };
}

/** Where the files are that tell a container who it is. */
export function networkFilesOf(context: ContainerContext, containerId: string): NetworkFiles {
  const folder = paths.container(context.roots, containerId);
  return { hosts: path.join(folder, "hosts"), hostname: path.join(folder, "hostname"), resolvConf: path.join(folder, "resolv.conf") };
}

import { nowNs } from "../../base/time.ts";
import type { LayerDriver } from "../../store/layers.ts";
import type { Images } from "../images/images.ts";
import type { Endpoint, Networks } from "../networks/networks.ts";
import { isRunning, statusOf, type Container } from "./container.ts";
import type { ListOptions } from "./containers.ts";
import { networkIdFinder, sizesOf } from "./inspect.ts";
import { readContainerFilter, type FilterSources } from "./list-filters.ts";
import { aliasesOf } from "./links.ts";
import { mountPointJson } from "./mount-points.ts";
import { endpointSettingsOf, publishedPorts } from "./network-settings.ts";
import { statusText } from "./status-text.ts";

/** Where the parts of a list are asked for; a part of the containers' context. */
export interface ListSources {
  set: { all: () => ListedContainer[]; find: (nameOrId: string) => ListedContainer | undefined };
  images: Pick<Images, "find">;
  networks: Pick<Networks, "endpointsOf" | "list">;
  layers: Pick<LayerDriver, "describe" | "measureWritable">;
}

type ListedContainer = Container & { readonly chainId?: string | undefined };

/** `GET /containers/json`: newest first; those that run, unless `all`, a limit or a filter by status wants the others, too. */
export async function listContainers(sources: ListSources, options: ListOptions): Promise<Record<string, unknown>[]> {
  const { set, images, networks } = sources;
  const filter = readContainerFilter(options.filters, { find: (name) => set.find(name), images });
  const limit = options.limit ?? 0;
  const wantsAll = options.all || filter.wantsAll || limit > 0;
  const networkId = networkIdFinder(networks);
  const facts: FilterSources = {
    endpoints: (container) => (isRunning(container) ? networks.endpointsOf(container.id) : []),
    networks: (container) => endpointSettingsOf(container, facts.endpoints(container), networkId),
  };
  const nameOfImage = imageNamer(images);
  const now = nowNs();
  const linking = set.all().filter(({ links }) => links.length > 0);
  const listed: Record<string, unknown>[] = [];
  let isBefore = filter.before === undefined;
  for (const container of set.all().sort(byAge)) {
    if (!isBefore) {
      isBefore = container.id === filter.before?.id;
      continue;
    }
    if (container.id === filter.since?.id || (limit > 0 && listed.length === limit)) break;
    if (!wantsAll && !isRunning(container) && statusOf(container) !== "restarting") continue;
    if (!filter.passes(container, facts)) continue;
    const summary = summarize(container, {
      endpoints: facts.endpoints(container),
      networkId,
      image: nameOfImage(container),
      aliases: aliasesOf(container, linking),
      nowNs: now,
    });
    if (options.size) {
      const { writableBytes, totalBytes } = await sizesOf(container, sources.layers);
      if (writableBytes > 0) summary["SizeRw"] = writableBytes;
      if (totalBytes > 0) summary["SizeRootFs"] = totalBytes;
    }
    listed.push(summary);
  }
  return listed;
}

function byAge(a: Container, b: Container): number {
  return a.createdNs < b.createdNs ? 1 : a.createdNs > b.createdNs ? -1 : 0;
}

/** The reference a container was made from, for as long as it means the same image; then the image's id. */
function imageNamer(images: Pick<Images, "find">): (container: Container) => string {
  const idByName = new Map<string, string | undefined>();
  return ({ config: { Image: name }, imageId }) => {
    if (name === imageId) return name;
    if (!idByName.has(name)) idByName.set(name, findId(images, name));
    return idByName.get(name) === imageId ? name : imageId;
  };
}

function findId(images: Pick<Images, "find">, name: string): string | undefined {
  try {
    return images.find(name)?.id;
  } catch {
    // An id prefix that has become ambiguous.
    return undefined;
  }
}

export interface SummaryFacts {
  endpoints: readonly Endpoint[];
  networkId: (name: string) => string;
  image: string;
  /** Names that links of others give it. */
  aliases: readonly string[];
  nowNs: bigint;
}

/** One container in the shape of Engine API 1.50, ContainerSummary, with members in Docker's order. */
export function summarize(container: Container, facts: SummaryFacts): Record<string, unknown> {
  const { config, hostConfig } = container;
  return {
    Id: container.id,
    Names: [`/${container.name}`, ...facts.aliases].toSorted(),
    Image: facts.image,
    ImageID: container.imageId,
    Command: commandText(container),
    Created: Number(container.createdNs / 1_000_000_000n),
    Ports: portsJson(container, facts.endpoints),
    Labels: Object.fromEntries(config.Labels),
    State: statusOf(container),
    Status: statusText(container, facts.nowNs),
    HostConfig: {
      NetworkMode: hostConfig.NetworkMode,
      ...(hostConfig.Annotations === undefined ? {} : { Annotations: Object.fromEntries(hostConfig.Annotations) }),
    },
    NetworkSettings: { Networks: endpointSettingsOf(container, facts.endpoints, facts.networkId) },
    Mounts: container.mounts.map(mountPointJson),
  };
}

/** Arguments with blanks in quotation marks, as Docker shows them. */
function commandText({ command }: Container): string {
  return [command.path, ...command.args.map((word) => (word.includes(" ") ? `'${word}'` : word))].join(" ");
}

function portsJson(container: Container, endpoints: readonly Endpoint[]): Record<string, unknown>[] {
  return publishedPorts(container, endpoints).flatMap(({ port, protocol, bindings }): Record<string, unknown>[] =>
    bindings.length === 0
      ? [{ PrivatePort: port, Type: protocol }]
      : bindings.map(({ HostIp, HostPort }) => ({ IP: HostIp, PrivatePort: port, PublicPort: Number(HostPort), Type: protocol })),
  );
}

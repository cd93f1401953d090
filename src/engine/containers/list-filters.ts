import { EngineError } from "../../base/errors.ts";
import type { Endpoint } from "../networks/networks.ts";
import type { Image, Images } from "../images/images.ts";
import { statusOf, type Container } from "./container.ts";
import { publishedPorts, type EndpointSettings } from "./network-settings.ts";

/**
 * Filters of `docker ps` (moby daemon/list.go): values of one key are alternatives, but for labels, which must all be there; keys add up.
 */
export interface ContainerFilter {
  /** Whether a container passes. `networks` and `endpoints` are asked for only where a filter needs them. */
  passes(container: Container, sources: FilterSources): boolean;
  /** Lists only what is older than the first and newer than the second. */
  before: Container | undefined;
  since: Container | undefined;
  /** A filter by status wants stopped containers, too. */
  wantsAll: boolean;
}

export interface FilterSources {
  networks: (container: Container) => Record<string, EndpointSettings>;
  endpoints: (container: Container) => readonly Endpoint[];
}

export interface FilterLookups {
  find: (nameOrId: string) => Container | undefined;
  images: Pick<Images, "find">;
}

type Filters = ReadonlyMap<string, readonly string[]>;
type Predicate = (container: Container, sources: FilterSources) => boolean;

const STATES = ["created", "running", "paused", "restarting", "removing", "exited", "dead"];
const HEALTHS = ["none", "starting", "healthy", "unhealthy"];

/** Reads the filters, or refuses them in Docker's words. */
export function readContainerFilter(filters: Filters, lookups: FilterLookups): ContainerFilter {
  const predicates: Predicate[] = [];
  for (const [key, values] of filters) {
    const make = FILTERS[key];
    if (make === undefined) throw invalid(`invalid filter '${key}'`);
    if (values.length > 0) predicates.push(make(values, lookups));
  }
  const named = (key: string): Container | undefined =>
    filters
      .get(key)
      ?.map((name) => getContainer(name, lookups))
      .at(-1);
  return {
    passes: (container, sources) => predicates.every((predicate) => predicate(container, sources)),
    before: named("before"),
    since: named("since"),
    wantsAll: (filters.get("status")?.length ?? 0) > 0,
  };
}

const always: Predicate = () => true;

const FILTERS: Readonly<Record<string, (values: readonly string[], lookups: FilterLookups) => Predicate>> = {
  before: () => always,
  since: () => always,
  isolation: (values) => (container) => matches(values, container.hostConfig.Isolation),
  id: filterById,
  name: (values) => {
    const patterns = compile(values);
    return ({ name }) =>
      values.includes(name) || values.includes(`/${name}`) || patterns.some((one) => one.test(`/${name}`) || one.test(name));
  },
  label: (values) => {
    const wanted = values.map((value) => value.split(/=(.*)/s, 2));
    return ({ config }) =>
      wanted.every(([name = "", value]) => config.Labels.has(name) && (value === undefined || config.Labels.get(name) === value));
  },
  status: (values) => {
    for (const value of values) {
      if (STATES.includes(value)) continue;
      throw invalid(`invalid filter 'status=${value}': invalid value for state (${value}): must be one of ${STATES.join(", ")}`);
    }
    return (container) => values.includes(statusOf(container));
  },
  health: (values) => {
    for (const value of values) {
      if (HEALTHS.includes(value)) continue;
      throw invalid(`invalid filter 'health=${value}': invalid value for health (${value}): must be one of ${HEALTHS.join(", ")}`);
    }
    return () => values.includes("none");
  },
  exited: (values) => {
    const codes = values.map((value) => {
      if (/^[+-]?\d+$/.test(value)) return Number(value);
      throw invalid(`invalid filter 'exited=${value}': strconv.Atoi: parsing ${JSON.stringify(value)}: invalid syntax`);
    });
    return ({ state }) => "ended" in state && state.status !== "restarting" && codes.includes(state.ended.exitCode);
  },
  "is-task": (values) => {
    const isFalse = values.includes("0") || values.includes("false");
    const isTrue = values.includes("1") || values.includes("true");
    if (isFalse === isTrue) throw invalid(`invalid filter 'is-task=[${values.join(" ")}]'`);
    return () => isFalse;
  },
  volume: (values) => (container) =>
    container.mounts.some(({ name, source, destination }) => values.includes(destination) || values.includes(name === "" ? source : name)),
  network: (values) => (container, sources) =>
    Object.entries(sources.networks(container)).some(
      ([name, { NetworkID }]) => values.includes(name) || values.some((value) => NetworkID.startsWith(value)),
    ),
  ancestor: filterByAncestor,
  publish: (values) => {
    const wanted = readPorts("publish", values);
    return (container, sources) =>
      publishedPorts(container, sources.endpoints(container)).some(({ protocol, bindings }) =>
        bindings.some(({ HostPort }) => wanted.has(`${HostPort}/${protocol}`)),
      );
  },
  expose: (values) => {
    const wanted = readPorts("expose", values);
    return (container, sources) =>
      publishedPorts(container, sources.endpoints(container)).some(({ port, protocol }) => wanted.has(`${port}/${protocol}`));
  },
};

/** By a prefix that only one container has. */
function filterById(values: readonly string[], { find }: FilterLookups): Predicate {
  const ids = new Set<string>();
  for (const value of values) {
    try {
      const id = find(value)?.id;
      if (id?.startsWith(value) === true) ids.add(id);
    } catch {
      // More than one: then none.
    }
  }
  return ({ id }) => ids.has(id);
}

/** Made from the image, or from one that was made from it here. */
function filterByAncestor(values: readonly string[], { images }: FilterLookups): Predicate {
  const ancestors = new Set(values.map((value) => findQuietly(images, value)?.id));
  const known = new Map<string, boolean>();
  const descends = (imageId: string): boolean => {
    if (ancestors.has(imageId)) return true;
    const parent = imageId === "" ? undefined : images.find(imageId)?.parent;
    return parent !== undefined && parent !== imageId && descends(parent);
  };
  return ({ imageId }) => {
    const answer = known.get(imageId) ?? descends(imageId);
    known.set(imageId, answer);
    return answer;
  };
}

function findQuietly(images: Pick<Images, "find">, name: string): Image | undefined {
  try {
    return images.find(name);
  } catch {
    return undefined;
  }
}

/** `80`, `80/udp`, `8000-8010/tcp`, as keys `80/tcp`. */
function readPorts(key: string, values: readonly string[]): Set<string> {
  const wanted = new Set<string>();
  for (const value of values) {
    if (value.includes(":")) throw invalid(`filter for '${key}' should not contain ':': ${value}`);
    const [, first, last = first, protocol = "tcp"] = /^(\d+)(?:-(\d+))?(?:\/(.+)|\/?)$/.exec(value) ?? [];
    const [from, to] = [Number(first ?? -1), Number(last ?? -1)];
    if (from < 0 || to > 65_535) {
      throw invalid(`error while looking up for ${key} ${value}: strconv.ParseUint: parsing ${JSON.stringify(value)}: invalid syntax`);
    }
    if (to < from) throw invalid(`error while looking up for ${key} ${value}: invalid range specified for port: ${value}`);
    for (let port = from; port <= to; port += 1) wanted.add(`${port}/${protocol}`);
  }
  return wanted;
}

function matches(values: readonly string[], text: string): boolean {
  return values.includes(text) || compile(values).some((pattern) => pattern.test(text));
}

/** Values as regular expressions; one that is none matches nothing. */
function compile(values: readonly string[]): RegExp[] {
  return values.flatMap((value) => {
    try {
      return [new RegExp(value)];
    } catch {
      return [];
    }
  });
}

function getContainer(name: string, { find }: FilterLookups): Container {
  const container = find(name);
  if (container === undefined) throw new EngineError("notFound", `No such container: ${name}`);
  return container;
}

function invalid(message: string): EngineError {
  return new EngineError("invalid", message);
}

import { EngineError } from "../../base/errors.ts";
import type { EndpointRecord } from "./endpoint-records.ts";
import { isPredefined, type AddressPool, type NetworkRecord } from "./network-records.ts";
import type { NetworkResource, PoolResource } from "./networks.ts";

/** A network as the API shows it. `endpoints`: those to list; the list of networks shows none (API 1.28). */
export function networkResource(network: NetworkRecord, endpoints: readonly EndpointRecord[]): NetworkResource {
  return {
    Name: network.name,
    Id: network.id,
    Created: network.created,
    Scope: "local",
    Driver: network.driver,
    EnableIPv4: network.enableIpv4,
    EnableIPv6: network.enableIpv6,
    IPAM: {
      Driver: "default",
      Options: network.ipamOptions,
      Config: network.driver === "bridge" ? network.pools.map(poolResource) : null,
    },
    Internal: network.internal,
    Attachable: network.attachable,
    Ingress: false,
    ConfigFrom: { Network: "" },
    ConfigOnly: false,
    Containers: Object.fromEntries(endpoints.map((endpoint) => [endpoint.containerId, containerOf(endpoint)])),
    Options: optionsOf(network),
    Labels: network.labels,
  };
}

function containerOf(endpoint: EndpointRecord): NetworkResource["Containers"][string] {
  return {
    Name: endpoint.containerName,
    EndpointID: endpoint.endpointId,
    MacAddress: endpoint.macAddress,
    IPv4Address: endpoint.ipv4Address === "" ? "" : `${endpoint.ipv4Address}/${endpoint.ipv4PrefixLength}`,
    IPv6Address: endpoint.ipv6Address === "" ? "" : `${endpoint.ipv6Address}/${endpoint.ipv6PrefixLength}`,
  };
}

function poolResource(pool: AddressPool): PoolResource {
  return {
    Subnet: pool.subnet,
    ...(pool.range === undefined ? {} : { IPRange: pool.range }),
    Gateway: pool.gateway,
    ...(Object.keys(pool.auxiliary).length === 0 ? {} : { AuxiliaryAddresses: pool.auxiliary }),
  };
}

function optionsOf(network: NetworkRecord): Record<string, string> {
  const { bridge } = network;
  if (bridge === undefined || !isPredefined(network)) return network.options;
  return {
    "com.docker.network.bridge.default_bridge": String(network.name === "bridge"),
    "com.docker.network.bridge.enable_icc": String(bridge.icc),
    "com.docker.network.bridge.enable_ip_masquerade": String(bridge.masquerade),
    "com.docker.network.bridge.host_binding_ipv4": bridge.bindingAddress ?? "0.0.0.0",
    "com.docker.network.bridge.name": bridge.name,
    "com.docker.network.driver.mtu": String(bridge.mtu ?? 1500),
  };
}

const FILTERS = ["dangling", "driver", "id", "label", "name", "scope", "type"];

/** The networks that all filters let through. `inUse`: ids of networks with containers on them. */
export function filterNetworks(
  networks: readonly NetworkRecord[],
  filters: Map<string, string[]>,
  inUse: ReadonlySet<string>,
): NetworkRecord[] {
  for (const [name, values] of filters) {
    if (!FILTERS.includes(name)) throw new EngineError("invalid", `invalid filter '${name}'`);
    if (name === "type") for (const value of values) oneOf(name, value, ["builtin", "custom"]);
    if (name === "dangling") for (const value of values) oneOf(name, value, ["0", "1", "false", "true", "f", "t"]);
  }
  const tests: Record<string, (network: NetworkRecord, value: string) => boolean> = {
    // Predefined networks are never dangling: nobody could remove them.
    dangling: (network, value) => (!isPredefined(network) && !inUse.has(network.id)) === /^(1|t|true)$/i.test(value),
    driver: (network, value) => network.driver === value,
    id: (network, value) => network.id.includes(value),
    label: (network, value) => hasLabel(network.labels, value),
    name: (network, value) => network.name.includes(value),
    scope: (_network, value) => value === "local",
    type: (network, value) => isPredefined(network) === (value === "builtin"),
  };
  return networks.filter((network) =>
    [...filters].every(([name, values]) => {
      const test = tests[name];
      if (test === undefined || values.length === 0) return true;
      // Several labels must all be there; of the others any one does.
      return name === "label" ? values.every((value) => test(network, value)) : values.some((value) => test(network, value));
    }),
  );
}

function oneOf(filter: string, value: string, allowed: string[]): void {
  if (!allowed.includes(value)) throw new EngineError("invalid", `invalid filter '${filter}=[${value}]'`);
}

function hasLabel(labels: Record<string, string>, wanted: string): boolean {
  const split = wanted.indexOf("=");
  if (split < 0) return wanted in labels;
  return labels[wanted.slice(0, split)] === wanted.slice(split + 1);
}

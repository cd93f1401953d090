/** Under which names the containers of each network are found, and under which name an address. */
export interface NamedEndpoint {
  endpointId: string;
  networkId: string;
  /** The container's own name first: its addresses lead back to that. */
  names: string[];
  /** Empty where the network has none of the family. */
  ipv4Address: string;
  ipv6Address: string;
}

interface NetworkNames {
  byName: Map<string, Set<NamedEndpoint>>;
  byAddress: Map<string, NamedEndpoint>;
}

export class NameTable {
  #endpoints = new Map<string, NamedEndpoint>();
  #networks = new Map<string, NetworkNames>();

  /** Adds an endpoint, or gives one its new names. */
  put(endpoint: NamedEndpoint): void {
    this.remove(endpoint.endpointId);
    this.#endpoints.set(endpoint.endpointId, endpoint);
    const network = this.#networks.get(endpoint.networkId) ?? { byName: new Map(), byAddress: new Map() };
    this.#networks.set(endpoint.networkId, network);
    for (const name of endpoint.names.map(foldName)) network.byName.set(name, (network.byName.get(name) ?? new Set()).add(endpoint));
    for (const address of addressesOf(endpoint)) network.byAddress.set(address, endpoint);
  }

  remove(endpointId: string): void {
    const endpoint = this.#endpoints.get(endpointId);
    const network = this.#networks.get(endpoint?.networkId ?? "");
    if (endpoint === undefined || network === undefined) return;
    this.#endpoints.delete(endpointId);
    for (const name of endpoint.names.map(foldName)) {
      const named = network.byName.get(name);
      named?.delete(endpoint);
      if (named?.size === 0) network.byName.delete(name);
    }
    for (const address of addressesOf(endpoint)) if (network.byAddress.get(address) === endpoint) network.byAddress.delete(address);
    if (network.byName.size === 0 && network.byAddress.size === 0) this.#networks.delete(endpoint.networkId);
  }

  /** Those that have the name, which is folded; several have it when it is an alias. */
  find(networkId: string, name: string): NamedEndpoint[] {
    return [...(this.#networks.get(networkId)?.byName.get(name) ?? [])];
  }

  nameOf(networkId: string, address: string): string | undefined {
    return this.#networks.get(networkId)?.byAddress.get(address)?.names[0];
  }
}

/** Names are compared without case and without the dot at their end. */
export function foldName(name: string): string {
  return name.toLowerCase().replace(/\.$/, "");
}

function addressesOf({ ipv4Address, ipv6Address }: NamedEndpoint): string[] {
  return [ipv4Address, ipv6Address].filter((address) => address !== "");
}

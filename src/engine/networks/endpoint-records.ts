import { EngineError } from "../../base/errors.ts";
import type { Database } from "../../store/database.ts";
import { contains, formatAddress, lastOf, parseAddress, requireSubnet } from "./addresses.ts";
import type { NetworkRecord } from "./network-records.ts";
import type { Endpoint } from "./networks.ts";

/**
 * Endpoints and their leased addresses. A row is written before the kernel is touched and deleted after everything was taken back, so
 * what the kernel may hold is always in the table. The table itself keeps an address from being leased twice.
 */
export interface EndpointRecord extends Endpoint {
  containerId: string;
  containerName: string;
  /** Name of the host's end of the link; "" where the network has none. */
  hostLink: string;
}

/** The address a new endpoint gets: the wanted one, or the lowest that is free (as Docker's allocator does on local networks). */
export function chooseAddress(network: NetworkRecord, leased: ReadonlySet<string>, wanted: string | undefined): string {
  const subnet = requireSubnet(network.ipv4Subnet ?? "");
  if (wanted !== undefined && wanted !== "") {
    const address = parseAddress(wanted);
    if (address === undefined) throw new EngineError("invalid", `invalid IPv4 address: ${wanted}`);
    if (!contains(subnet, address)) {
      throw new EngineError(
        "invalid",
        `no configured subnet contains IP address ${wanted}: network ${network.name} is ${network.ipv4Subnet}`,
      );
    }
    if (leased.has(wanted) || wanted === network.gateway) throw new EngineError("forbidden", "Address already in use");
    return wanted;
  }
  for (let address = subnet.base + 1; address < lastOf(subnet); address += 1) {
    const text = formatAddress(address);
    if (text !== network.gateway && !leased.has(text)) return text;
  }
  throw new EngineError("system", `no available IPv4 addresses on this network's address pools: ${network.name} (${network.id})`);
}

/** Leases an address and records the endpoint that `make` gives for it, in one transaction. */
export function leaseEndpoint(
  database: Database,
  network: NetworkRecord,
  containerId: string,
  wanted: string | undefined,
  make: (address: string | undefined) => EndpointRecord,
): EndpointRecord {
  return database.write((sql) => {
    const rows = sql.prepare("SELECT address FROM endpoints WHERE network = ? AND address IS NOT NULL").all(network.id);
    const leased = new Set(rows.map((row) => String(row["address"])));
    const address = network.ipv4Subnet === undefined ? undefined : chooseAddress(network, leased, wanted);
    const endpoint = make(address);
    sql
      .prepare("INSERT INTO endpoints (container, network, address, record) VALUES (?, ?, ?, ?)")
      .run(containerId, network.id, address ?? null, JSON.stringify(endpoint));
    return endpoint;
  });
}

export function updateEndpoint(database: Database, endpoint: EndpointRecord): void {
  database.write((sql) => {
    sql
      .prepare("UPDATE endpoints SET record = ? WHERE container = ? AND network = ?")
      .run(JSON.stringify(endpoint), endpoint.containerId, endpoint.networkId);
  });
}

export function releaseEndpoint(database: Database, endpoint: EndpointRecord): void {
  database.write((sql) => {
    sql.prepare("DELETE FROM endpoints WHERE container = ? AND network = ?").run(endpoint.containerId, endpoint.networkId);
  });
}

export function allEndpoints(database: Database): EndpointRecord[] {
  return records(database.sql.prepare("SELECT record FROM endpoints").all());
}

export function endpointsOfContainer(database: Database, containerId: string): EndpointRecord[] {
  return records(database.sql.prepare("SELECT record FROM endpoints WHERE container = ?").all(containerId));
}

function records(rows: Record<string, unknown>[]): EndpointRecord[] {
  // Written by this file alone.
  return rows.map((row) => JSON.parse(String(row["record"])) as EndpointRecord);
}

import { EngineError } from "../../base/errors.ts";
import type { Database } from "../../store/database.ts";
import { chooseAddress } from "./leases.ts";
import { poolOf, type NetworkRecord } from "./network-records.ts";
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

export interface Lease {
  ipv4Address: string | undefined;
  ipv6Address: string | undefined;
}

/** Leases addresses and records the endpoint that `make` gives for them, in one transaction. */
export function leaseEndpoint(
  database: Database,
  network: NetworkRecord,
  containerId: string,
  wanted: { ipv4Address?: string | undefined; ipv6Address?: string | undefined },
  make: (lease: Lease) => EndpointRecord,
): EndpointRecord {
  return database.write((sql) => {
    const kept = sql.prepare("SELECT record FROM networks WHERE id = ?").get(network.id);
    // Written by `saveNetwork` alone.
    if (kept === undefined || (JSON.parse(String(kept["record"])) as NetworkRecord).removing === true)
      throw new EngineError("notFound", `network ${network.name} not found`);
    const rows = sql.prepare("SELECT address, address6 FROM endpoints WHERE network = ?").all(network.id);
    const lease = (family: 4 | 6, asked: string | undefined): string | undefined => {
      const pool = poolOf(network, family);
      if (pool === undefined) return undefined;
      const leased = new Set(rows.map((row) => String(row[family === 4 ? "address" : "address6"])));
      return chooseAddress(network, pool, leased, asked);
    };
    const addresses: Lease = { ipv4Address: lease(4, wanted.ipv4Address), ipv6Address: lease(6, wanted.ipv6Address) };
    const endpoint = make(addresses);
    sql
      .prepare("INSERT INTO endpoints (container, network, address, address6, record) VALUES (?, ?, ?, ?, ?)")
      .run(containerId, network.id, addresses.ipv4Address ?? null, addresses.ipv6Address ?? null, JSON.stringify(endpoint));
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

/** Those that make the container's links `eth0`, `eth1`, …, in this order. */
export function endpointsOfContainer(database: Database, containerId: string): EndpointRecord[] {
  return records(database.sql.prepare("SELECT record FROM endpoints WHERE container = ? ORDER BY rowid").all(containerId));
}

export function endpointsOfNetwork(database: Database, networkId: string): EndpointRecord[] {
  return records(database.sql.prepare("SELECT record FROM endpoints WHERE network = ? ORDER BY rowid").all(networkId));
}

function records(rows: Record<string, unknown>[]): EndpointRecord[] {
  // Written by this file alone.
  return rows.map((row) => JSON.parse(String(row["record"])) as EndpointRecord);
}

import { EngineError } from "../../base/errors.ts";
import { newId } from "../../base/ids.ts";
import { formatTime, nowNs } from "../../base/time.ts";
import type { Database } from "../../store/database.ts";

/** A network as the database keeps it. Its driver knows what the settings mean. */
export interface NetworkRecord {
  id: string;
  name: string;
  driver: "bridge" | "host" | "null";
  created: string;
  internal: boolean;
  /** `172.17.0.0/16`; absent where the driver hands out no addresses. */
  ipv4Subnet?: string | undefined;
  gateway?: string | undefined;
  bridge?: BridgeSettings | undefined;
  labels: Record<string, string>;
}

export interface BridgeSettings {
  name: string;
  mtu?: number | undefined;
  /** Asked for by the user (`--bip`), with prefix length. Absent: the bridge's own, or chosen. */
  address?: string | undefined;
  /** Containers on it reach each other. */
  icc: boolean;
  /** Containers leave the host with its address. */
  masquerade: boolean;
}

/** The networks that are always there, in the order they were made. */
export const PREDEFINED = [
  { name: "bridge", driver: "bridge" },
  { name: "host", driver: "host" },
  { name: "none", driver: "null" },
] as const;

/** Makes the predefined networks' records at a daemon's first start; their ids stay the same from then on. */
export function ensurePredefined(database: Database): void {
  for (const { name, driver } of PREDEFINED) {
    if (allNetworks(database).some((network) => network.name === name)) continue;
    saveNetwork(database, { id: newId(), name, driver, created: formatTime(nowNs()), internal: false, labels: {} });
  }
}

export function allNetworks(database: Database): NetworkRecord[] {
  // Written by `saveNetwork` alone.
  return database.sql
    .prepare("SELECT record FROM networks ORDER BY name")
    .all()
    .map((row) => JSON.parse(String(row["record"])) as NetworkRecord);
}

export function saveNetwork(database: Database, network: NetworkRecord): void {
  database.write((sql) => {
    sql
      .prepare(
        "INSERT INTO networks (id, name, record) VALUES (?, ?, ?) ON CONFLICT (id) DO UPDATE SET name = excluded.name, record = excluded.record",
      )
      .run(network.id, network.name, JSON.stringify(network));
  });
}

/** One network by id, name or unambiguous beginning of an id, in this order (as Docker looks them up). */
export function findNetwork(networks: readonly NetworkRecord[], nameOrId: string): NetworkRecord {
  const exact = networks.find((network) => network.id === nameOrId) ?? networks.find((network) => network.name === nameOrId);
  if (exact) return exact;
  const matches = nameOrId === "" ? [] : networks.filter((network) => network.id.startsWith(nameOrId));
  if (matches.length > 1)
    throw new EngineError("invalid", `network ${nameOrId} is ambiguous (${matches.length} matches found on ID prefix)`);
  const [match] = matches;
  if (match === undefined) throw new EngineError("notFound", `network ${nameOrId} not found`);
  return match;
}

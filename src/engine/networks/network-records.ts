import { EngineError } from "../../base/errors.ts";
import { newId } from "../../base/ids.ts";
import { formatTime, nowNs } from "../../base/time.ts";
import { LINK_PREFIX } from "../../kernel/net/links.ts";
import type { Database } from "../../store/database.ts";

/** A network as the database keeps it. Its driver knows what the options mean. */
export interface NetworkRecord {
  id: string;
  name: string;
  driver: DriverName;
  created: string;
  internal: boolean;
  attachable: boolean;
  enableIpv4: boolean;
  enableIpv6: boolean;
  /** Where addresses come from; empty where the driver hands out none. */
  pools: AddressPool[];
  ipamOptions: Record<string, string> | null;
  /** As they were given. */
  options: Record<string, string>;
  labels: Record<string, string>;
  bridge?: BridgeSettings | undefined;
  /** Its removal is under way: it is gone for everybody but the next start, which finishes that. */
  removing?: boolean | undefined;
}

export type DriverName = "bridge" | "host" | "null";

/** A subnet with what of it is handed out. Addresses are in their shortest form. */
export interface AddressPool {
  family: 4 | 6;
  /** `172.17.0.0/16` */
  subnet: string;
  /** Only these are handed out to endpoints that ask for none. */
  range?: string | undefined;
  gateway: string;
  /** Addresses that somebody else has, by a name. */
  auxiliary: Record<string, string>;
  /** The user named the subnet: fixed addresses need that. */
  isConfigured: boolean;
}

/**
 * What the host is for a family of a network: a gateway that hides it (`nat`); one that hides it on the way out and lets everybody in, who
 * knows the way (`nat-unprotected`); nobody, without an address there (`isolated`).
 */
export type GatewayMode = "nat" | "nat-unprotected" | "isolated";

/** What the driver `bridge` made of the options. */
export interface BridgeSettings {
  name: string;
  mtu?: number | undefined;
  /** Containers on it reach each other. */
  icc: boolean;
  /** Containers leave the host with its address. */
  masquerade: boolean;
  /** Where ports are published that name no address; absent: everywhere. */
  bindingAddress?: string | undefined;
  /** The IPv4 gateway is somebody else on the bridge. */
  withoutIpv4?: boolean | undefined;
  /** `nat` where absent. */
  gatewayModes?: Partial<Record<4 | 6, GatewayMode>> | undefined;
  /** It was there before the network and stays after it. */
  isForeign?: boolean | undefined;
}

export const DEFAULT_NETWORK = "bridge";

/** The networks that are always there, in the order they were made. */
export const PREDEFINED = [
  { name: "bridge", driver: "bridge" },
  { name: "host", driver: "host" },
  { name: "none", driver: "null" },
] as const;

export function isPredefined(network: Pick<NetworkRecord, "name">): boolean {
  return PREDEFINED.some(({ name }) => name === network.name);
}

/** Makes the predefined networks' records at a daemon's first start; their ids stay the same from then on. */
export function ensurePredefined(database: Database): void {
  for (const { name, driver } of PREDEFINED) {
    if (allNetworks(database).some((network) => network.name === name)) continue;
    saveNetwork(database, { ...emptyNetwork(), name, driver });
  }
}

/** A network with a new id and nothing else. */
export function emptyNetwork(): NetworkRecord {
  return {
    id: newId(),
    name: "",
    driver: "bridge",
    created: formatTime(nowNs()),
    internal: false,
    attachable: false,
    enableIpv4: true,
    enableIpv6: false,
    pools: [],
    ipamOptions: null,
    options: {},
    labels: {},
  };
}

/** A bridge's name from its network's id: found again, not remembered. */
export function bridgeName(networkId: string): string {
  return `${LINK_PREFIX}${networkId.slice(0, 10)}`;
}

export function poolOf(network: Pick<NetworkRecord, "pools">, family: 4 | 6): AddressPool | undefined {
  return network.pools.find((pool) => pool.family === family);
}

export function allNetworks(database: Database): NetworkRecord[] {
  // Written by `saveNetwork` alone.
  return database.sql
    .prepare("SELECT record FROM networks ORDER BY name, id")
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

export function deleteNetwork(database: Database, network: NetworkRecord): void {
  database.write((sql) => sql.prepare("DELETE FROM networks WHERE id = ?").run(network.id));
}

/** One network by id, name or unambiguous beginning of an id, in this order (as Docker looks them up). */
export function findNetwork(networks: readonly NetworkRecord[], nameOrId: string): NetworkRecord {
  const there = networks.filter((network) => network.removing !== true);
  const exact = there.find((network) => network.id === nameOrId) ?? there.find((network) => network.name === nameOrId);
  if (exact) return exact;
  const matches = nameOrId === "" ? [] : there.filter((network) => network.id.startsWith(nameOrId));
  if (matches.length > 1)
    throw new EngineError("invalid", `network ${nameOrId} is ambiguous (${matches.length} matches found on ID prefix)`);
  const [match] = matches;
  if (match === undefined) throw new EngineError("notFound", `network ${nameOrId} not found`);
  return match;
}

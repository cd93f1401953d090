import path from "node:path";

import { EngineError } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import type { KernelWorker } from "../../kernel/net/kernel-worker.ts";
import type { Database } from "../../store/database.ts";
import { paths, type Roots } from "../../store/roots.ts";
import type { Dns } from "./dns/dns.ts";
import type { NetworkDriver } from "./network-driver.ts";
import type { NetworkRecord } from "./network-records.ts";
import type { SubnetPool } from "./subnets.ts";

/** What joining, leaving and restoring work with. */
export interface NetworkParts {
  database: Database;
  roots: Roots;
  log: Log;
  kernel: KernelWorker;
  dns: Dns;
  /** For networks that name no subnet. */
  addressPools: readonly SubnetPool[];
  /** By name; the network `host` has none, since its containers have no namespace of their own. */
  drivers: Record<NetworkRecord["driver"], NetworkDriver | undefined>;
}

export function driverOf(parts: NetworkParts, network: NetworkRecord): NetworkDriver {
  const driver = parts.drivers[network.driver];
  if (driver === undefined) throw new EngineError("invalid", `network ${network.name}: its containers have no namespace of their own`);
  return driver;
}

/** Where a container's namespace is kept. */
export function namespaceFile(parts: NetworkParts, containerId: string): string {
  return path.join(paths.netns(parts.roots), containerId);
}

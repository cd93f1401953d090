import { EngineError } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import type { ChildPool } from "../../store/child/pool.ts";
import type { Database } from "../../store/database.ts";
import type { Roots } from "../../store/roots.ts";
import type { Events } from "../events/events.ts";
import type { VolumeDriver } from "./volume-driver.ts";
import type { VolumeRecord } from "./volume-records.ts";

/** What the verbs work with. */
export interface VolumeParts {
  database: Database;
  roots: Roots;
  log: Log;
  events: Events;
  children: ChildPool;
  drivers: Readonly<Record<string, VolumeDriver | undefined>>;
  /** The ids of the containers that name a volume, by its name. */
  users(): ReadonlyMap<string, readonly string[]>;
}

export function driverOf({ drivers }: VolumeParts, volume: VolumeRecord): VolumeDriver {
  const driver = drivers[volume.driver];
  if (driver === undefined) throw new EngineError("notFound", `volume ${volume.name}: plugin "${volume.driver}" not found`);
  return driver;
}

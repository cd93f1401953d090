import { rm } from "node:fs/promises";
import path from "node:path";

import { EngineError, messageOf } from "../../base/errors.ts";
import { failpoint } from "../../base/failpoint.ts";
import { driverOf, type VolumeParts } from "./parts.ts";
import { deleteVolume, saveVolume, type VolumeRecord } from "./volume-records.ts";

/**
 * Removes a volume that nobody names; the caller holds its lock. That it goes is written down first: from then on nobody gets it, and a
 * start after a crash goes on with the removal.
 */
export async function removeVolume(parts: VolumeParts, volume: VolumeRecord, users: readonly string[]): Promise<void> {
  const { database, events } = parts;
  if (users.length > 0) throw new EngineError("conflict", `remove ${volume.name}: volume is in use - [${users.join(", ")}]`);
  saveVolume(database, { ...volume, removing: true });
  failpoint("volumes.remove.marked");
  try {
    await finishRemoval(parts, volume);
  } catch (error) {
    // It is there, and can be removed again.
    saveVolume(database, volume);
    await driverOf(parts, volume)
      .create(volume)
      .catch((failure: unknown) => parts.log.error({ volume: volume.name, error: messageOf(failure) }, "keeping a volume"));
    throw new EngineError("system", `remove ${volume.name}: ${messageOf(error)}`, { cause: error });
  }
  await database.durable();
  events.publish({ type: "volume", action: "destroy", actor: { id: volume.name, attributes: { driver: volume.driver } } });
}

export async function finishRemoval(parts: VolumeParts, volume: VolumeRecord): Promise<void> {
  const driver = driverOf(parts, volume);
  await driver.remove(volume);
  const { folder, isApart } = driver.staging(volume);
  if (isApart && volume.filling !== undefined) await rm(path.join(folder, volume.filling), { recursive: true, force: true });
  failpoint("volumes.remove.deleted");
  deleteVolume(parts.database, volume.name);
}

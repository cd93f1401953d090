import { EngineError } from "../../base/errors.ts";
import { failpoint } from "../../base/failpoint.ts";
import { newId } from "../../base/ids.ts";
import { formatTime, nowNs } from "../../base/time.ts";
import { Undo } from "../../base/undo.ts";
import type { VolumeParts } from "./parts.ts";
import { deleteVolume, findVolume, saveVolume, type VolumeRecord } from "./volume-records.ts";
import { checkVolumeName } from "./volume-names.ts";
import { ANONYMOUS_LABEL, type VolumeRequest } from "./volumes.ts";

/** The volume of that name, made if it is not there. The caller holds its lock; its durability is the caller's to wait for. */
export async function ensureVolume(parts: VolumeParts, request: VolumeRequest): Promise<{ volume: VolumeRecord; isNew: boolean }> {
  const { database, log, drivers } = parts;
  const name = request.name === "" ? newId() : request.name;
  checkVolumeName(name);
  const driverName = request.driver === "" ? "local" : request.driver;
  const there = findVolume(database, name);
  if (there !== undefined) {
    if (request.driver !== "" && there.driver !== request.driver)
      throw new EngineError("conflict", `create ${name}: conflict: volume name must be unique: it exists with driver ${there.driver}`);
    return { volume: there, isNew: false };
  }
  const driver = drivers[driverName];
  if (driver === undefined)
    throw new EngineError("notFound", `create ${name}: error looking up volume plugin ${driverName}: plugin "${driverName}" not found`);
  const labels = request.name === "" ? new Map([...(request.labels ?? []), [ANONYMOUS_LABEL, ""]]) : request.labels;
  const volume: VolumeRecord = {
    name,
    driver: driverName,
    created: formatTime((nowNs() / 1_000_000_000n) * 1_000_000_000n),
    labels: objectOf(labels),
    options: objectOf(request.options),
    isAnonymous: labels?.has(ANONYMOUS_LABEL) === true,
  };
  driver.validate(volume);

  await using undo = new Undo((message) => log.error({ volume: name }, message));
  saveVolume(database, volume);
  undo.defer("forgetting the volume", () => deleteVolume(database, name));
  failpoint("volumes.create.saved");
  undo.defer("removing its folder", () => driver.remove(volume));
  await driver.create(volume);
  failpoint("volumes.create.made");
  undo.keep();
  return { volume, isNew: true };
}

function objectOf(map: ReadonlyMap<string, string> | undefined): Record<string, string> | null {
  return map === undefined ? null : Object.fromEntries(map);
}

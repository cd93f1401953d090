import { readdir } from "node:fs/promises";
import path from "node:path";

import { messageOf } from "../../base/errors.ts";
import { KeyedLock } from "../../base/locks.ts";
import { readPruneFilter } from "../../base/prune-filter.ts";
import { parseTimestamp } from "../../base/time.ts";
import { paths } from "../../store/roots.ts";
import { measureTree } from "../../store/tree-size.ts";
import { ensureVolume } from "./create-volume.ts";
import { dropStaging, fillVolume, finishFilling } from "./fill-volume.ts";
import { openLocalDriver } from "./local-driver.ts";
import { driverOf, type VolumeParts } from "./parts.ts";
import { finishRemoval, removeVolume } from "./remove-volume.ts";
import { readVolumeFilter } from "./volume-filters.ts";
import { allVolumes, findVolume, getVolume, type VolumeRecord } from "./volume-records.ts";
import type { Volume, Volumes } from "./volumes.ts";

/** Who names a volume that is being given to a container which is not known yet. */
const HOLDER = "a container that is being created";

export function openVolumes(given: Omit<VolumeParts, "drivers">): Volumes {
  const { database, roots, log, events } = given;
  const parts: VolumeParts = { ...given, drivers: { local: openLocalDriver(roots) } };
  const locks = new KeyedLock();
  const holds = new Map<string, number>();
  const usersOf = (name: string): string[] => [...parts.usersOf(name).map(({ id }) => id), ...(holds.has(name) ? [HOLDER] : [])];
  const present = (): VolumeRecord[] => allVolumes(database).filter((volume) => volume.removing !== true);
  const folderOf = (name: string): string => paths.volume(roots, name);
  const publicOf = (volume: VolumeRecord): Volume => ({ ...volume, mountpoint: driverOf(parts, volume).mountpoint(volume) });
  const bytesOf = (volume: VolumeRecord): Promise<number> => measureTree(driverOf(parts, volume).mountpoint(volume));
  const tell = (volume: VolumeRecord, action: "mount" | "unmount", container: string, more: Record<string, string> = {}): void =>
    events.publish({ type: "volume", action, actor: { id: volume.name, attributes: { container, driver: volume.driver, ...more } } });

  return {
    create: (request) =>
      locks.run(request.name === "" ? "new" : request.name, async () => {
        const { volume, isNew } = await ensureVolume(parts, request);
        await database.durable();
        if (isNew) events.publish({ type: "volume", action: "create", actor: { id: volume.name, attributes: { driver: volume.driver } } });
        return publicOf(volume);
      }),
    inspect: (name) => publicOf(getVolume(database, name)),
    list(filters) {
      const passes = readVolumeFilter(filters, (name) => usersOf(name).length > 0);
      return present().filter(passes).map(publicOf);
    },
    remove: (name, { force, goingContainer }) =>
      locks.run(name, async () => {
        if (force && findVolume(database, name) === undefined) return;
        await removeVolume(
          parts,
          getVolume(database, name),
          usersOf(name).filter((id) => id !== goingContainer),
        );
      }),
    async prune(filters) {
      const { all, rest } = readAll(filters);
      const matches = readPruneFilter(rest);
      const removed = { names: [] as string[], bytes: 0 };
      for (const { name } of present()) {
        await locks.run(name, async () => {
          const volume = findVolume(database, name);
          if (volume === undefined || usersOf(name).length > 0 || !(all || volume.isAnonymous)) return;
          const createdNs = parseTimestamp(volume.created) ?? 0n;
          if (!matches({ createdNs, labels: new Map(Object.entries(volume.labels ?? {})) })) return;
          const bytes = await bytesOf(volume);
          try {
            await removeVolume(parts, volume, []);
            removed.names.push(name);
            removed.bytes += bytes;
          } catch (error) {
            log.warn({ volume: name, error: messageOf(error) }, "prune");
          }
        });
      }
      return removed;
    },
    async usage() {
      const used = [];
      for (const volume of present())
        used.push({ ...publicOf(volume), bytes: await bytesOf(volume), users: parts.usersOf(volume.name).length });
      return used;
    },

    hold(name) {
      holds.set(name, (holds.get(name) ?? 0) + 1);
      return {
        release() {
          const left = (holds.get(name) ?? 1) - 1;
          if (left === 0) holds.delete(name);
          else holds.set(name, left);
        },
      };
    },
    fill: (name, source) =>
      locks.run(name, async () => {
        const volume = getVolume(database, name);
        const driver = driverOf(parts, volume);
        const wasMounted = (await driver.mounted()).includes(name);
        await driver.mount(volume);
        try {
          if ((await readdir(driver.mountpoint(volume))).length > 0) return;
          await source((folder) => fillVolume(parts, volume, folderOf(name), folder));
        } finally {
          if (!wasMounted) await driver.unmount(volume);
        }
      }),

    mount: (name, containerId) =>
      locks.run(name, async () => {
        const volume = getVolume(database, name);
        const driver = driverOf(parts, volume);
        await driver.mount(volume);
        tell(volume, "mount", containerId);
        return driver.mountpoint(volume);
      }),
    unmount: (name, containerId) =>
      locks.run(name, async () => {
        const volume = findVolume(database, name);
        if (volume === undefined) return;
        const isUsed = parts.usersOf(name).some(({ id, running }) => running && id !== containerId);
        if (!isUsed) await driverOf(parts, volume).unmount(volume);
        tell(volume, "unmount", containerId);
      }),

    async restore() {
      for (const volume of allVolumes(database)) {
        try {
          const driver = driverOf(parts, volume);
          if (volume.removing === true) {
            await finishRemoval(parts, volume);
            continue;
          }
          await driver.create(volume);
          if (volume.filling === true) await finishFilling(parts, volume, folderOf(volume.name));
          else await dropStaging(folderOf(volume.name));
          if (!parts.usersOf(volume.name).some(({ running }) => running)) await driver.unmount(volume);
        } catch (error) {
          log.error({ volume: volume.name, error: messageOf(error) }, "restoring a volume");
        }
      }
      const known = new Set(allVolumes(database).map(({ name }) => name));
      for (const name of await readdir(paths.volumes(roots))) {
        if (!known.has(name))
          log.warn({ folder: path.join(paths.volumes(roots), name) }, "a volume's folder that no record names is left alone");
      }
    },
  };
}

/** `all` of a prune's filters; the others apart. */
function readAll(filters: ReadonlyMap<string, readonly string[]>): { all: boolean; rest: ReadonlyMap<string, readonly string[]> } {
  const { rest, values } = { rest: new Map(filters), values: filters.get("all") ?? [] };
  rest.delete("all");
  return { all: values.some((value) => ["1", "t", "true"].includes(value.toLowerCase())), rest };
}

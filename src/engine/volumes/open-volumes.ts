import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { readdir, rm } from "node:fs/promises";
import path from "node:path";

import { messageOf } from "../../base/errors.ts";
import { KeyedLock } from "../../base/locks.ts";
import { readPruneFilter } from "../../base/prune-filter.ts";
import { parseTimestamp } from "../../base/time.ts";
import { setTopDirectoryFlag } from "../../kernel/file-attributes.ts";
import { paths } from "../../store/roots.ts";
import { measureTree } from "../../store/tree-size.ts";
import { ensureVolume } from "./create-volume.ts";
import { fillVolume, finishFilling, isEmpty, removeEmptyVolume, type FillPlace } from "./fill-volume.ts";
import { openLocalDriver } from "./local-driver.ts";
import { driverOf, type VolumeParts } from "./parts.ts";
import { finishRemoval, removeVolume } from "./remove-volume.ts";
import { readFlag, readVolumeFilter } from "./volume-filters.ts";
import { allVolumes, findVolume, getVolume, type VolumeRecord } from "./volume-records.ts";
import type { Volume, Volumes } from "./volumes.ts";

/** Who names a volume that is being given to a container which is not known yet. */
const HOLDER = "a container that is being created";

export function openVolumes(given: Omit<VolumeParts, "drivers">): Volumes {
  const { database, roots, log, events } = given;
  const parts: VolumeParts = { ...given, drivers: { local: openLocalDriver(roots) } };
  const locks = new KeyedLock();
  for (const folder of [paths.volumes(roots), paths.volumesFilling(roots)]) setTopDirectoryFlag(folder);
  const holds = new Map<string, number>();
  /** The containers that run, or are being started, by the volumes they have. */
  const mountedBy = new Map<string, Set<string>>();
  const usersOf = (name: string, users = parts.users()): string[] => [...(users.get(name) ?? []), ...(holds.has(name) ? [HOLDER] : [])];
  const present = (): VolumeRecord[] => allVolumes(database).filter((volume) => volume.removing !== true);
  const publicOf = (volume: VolumeRecord): Volume => ({ ...volume, mountpoint: driverOf(parts, volume).mountpoint(volume) });
  const bytesOf = (volume: VolumeRecord): Promise<number> => measureTree(driverOf(parts, volume).mountpoint(volume));

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
      const users = filters.has("dangling") ? parts.users() : new Map<string, string[]>();
      const passes = readVolumeFilter(filters, (name) => usersOf(name, users).length > 0);
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
      events.publish({ type: "volume", action: "prune", actor: { id: "", attributes: { reclaimed: String(removed.bytes) } } });
      return removed;
    },
    async usage() {
      const users = parts.users();
      const used = [];
      for (const volume of present())
        used.push({ ...publicOf(volume), bytes: await bytesOf(volume), users: users.get(volume.name)?.length ?? 0 });
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
    fill: (name, source, { volatile }) =>
      locks.run(name, async () => {
        const volume = getVolume(database, name);
        await mountReady(volume);
        try {
          const place = { ...placeOf(volume), volatile };
          if (await isEmpty(place.data)) await source((folder) => fillVolume(parts, volume, folder, place));
        } finally {
          await dropStaging(volume);
          await unmountUnused(volume);
        }
      }),

    mount: (name, containerId) =>
      locks.run(name, async () => {
        const volume = getVolume(database, name);
        await mountReady(volume);
        mountedBy.set(name, (mountedBy.get(name) ?? new Set()).add(containerId));
        return driverOf(parts, volume).mountpoint(volume);
      }),
    unmount: (name, containerId) =>
      locks.run(name, async () => {
        const users = mountedBy.get(name);
        users?.delete(containerId);
        if (users?.size === 0) mountedBy.delete(name);
        const volume = findVolume(database, name);
        if (volume !== undefined) await unmountUnused(volume);
      }),

    async restore(runningContainerIds) {
      const running = new Set(runningContainerIds);
      const users = parts.users();
      for (const volume of allVolumes(database)) {
        const having = users.get(volume.name)?.filter((id) => running.has(id)) ?? [];
        if (having.length > 0) mountedBy.set(volume.name, new Set(having));
        try {
          await restoreVolume(volume);
        } catch (error) {
          log.error({ volume: volume.name, error: messageOf(error) }, "restoring a volume");
        }
      }
      const stagings = new Set(allVolumes(database).map(({ filling }) => filling));
      for (const name of await readdir(paths.volumesFilling(roots)))
        if (!stagings.has(name)) await rm(path.join(paths.volumesFilling(roots), name), { recursive: true, force: true });
      const known = new Set(allVolumes(database).map(({ name }) => name));
      for (const name of await readdir(paths.volumes(roots))) {
        const folder = paths.volume(roots, name);
        if (!known.has(name) && !(await removeEmptyVolume(folder)))
          log.warn({ folder }, "a volume's folder that no record names is left alone");
      }
    },
  };

  function placeOf(volume: VolumeRecord): FillPlace {
    const driver = driverOf(parts, volume);
    const { folder, isApart } = driver.staging(volume);
    return {
      data: driver.mountpoint(volume),
      staging: path.join(folder, volume.filling ?? randomBytes(10).toString("hex")),
      canReplace: isApart && !mountedBy.has(volume.name),
      volatile: false,
    };
  }

  /** Mounts it, whole: what was left of filling it is done first. */
  async function mountReady(volume: VolumeRecord): Promise<void> {
    await driverOf(parts, volume).mount(volume);
    if (volume.filling !== undefined) await finishFilling(database, volume, placeOf(volume));
    await dropStaging(volume);
  }

  /** Nothing of ours stays within the data. */
  async function dropStaging(volume: VolumeRecord): Promise<void> {
    const { folder, isApart } = driverOf(parts, volume).staging(volume);
    const isBeingMoved = findVolume(database, volume.name)?.filling !== undefined;
    if (!isApart && !isBeingMoved) await rm(folder, { recursive: true, force: true });
  }

  async function unmountUnused(volume: VolumeRecord): Promise<void> {
    if (!mountedBy.has(volume.name)) await driverOf(parts, volume).unmount(volume);
  }

  async function restoreVolume(volume: VolumeRecord): Promise<void> {
    if (volume.removing === true) {
      await finishRemoval(parts, volume);
      return;
    }
    const driver = driverOf(parts, volume);
    if (driver.staging(volume).isApart) {
      if (!existsSync(driver.mountpoint(volume))) await driver.create(volume);
      if (volume.filling !== undefined) await finishFilling(database, volume, placeOf(volume));
    }
    await unmountUnused(volume);
  }
}

/** `all` of a prune's filters; the others apart. */
function readAll(filters: ReadonlyMap<string, readonly string[]>): { all: boolean; rest: ReadonlyMap<string, readonly string[]> } {
  const rest = new Map(filters);
  rest.delete("all");
  return { all: readFlag(filters, "all") ?? false, rest };
}

import { existsSync, fstatSync, lstatSync, openSync, readdirSync } from "node:fs";
import { mkdir, rmdir, unlink, writeFile } from "node:fs/promises";
import path from "node:path";

import { codeOf, EngineError, messageOf, reasonOf } from "../../base/errors.ts";
import { newId } from "../../base/ids.ts";
import type { Undo } from "../../base/undo.ts";
import { bindMount, unmount } from "../../kernel/mount.ts";
import { close, O_DIRECTORY, O_PATH, openInRoot } from "../../kernel/openat.ts";
import { paths } from "../../store/roots.ts";
import { ANONYMOUS_LABEL, type FillSource, type VolumeRequest } from "../volumes/volumes.ts";
import type { Container, MountPoint } from "./container.ts";
import type { ContainerContext } from "./context.ts";

/** A container's volumes from its creation to its removal. */

/**
 * Gives each of a new container's mount points its volume, made where it is not there, and copies into it what the image has at its place.
 * The volumes are held until `undo` has run or the container is known.
 */
export async function prepareVolumes(context: ContainerContext, container: Container, undo: Undo): Promise<Disposable> {
  const held = new DisposableStack();
  try {
    for (const mount of container.mounts) {
      if (mount.type === "image") mount.imageId = imageIdOf(context, mount);
      if (mount.type !== "volume") continue;
      const isNamed = mount.name !== "";
      const name = isNamed ? mount.name : newId();
      held.defer(context.volumes.hold(name).release);
      const volume = await context.volumes.create({ name, driver: mount.driver, ...askedOptions(container, mount) });
      mount.name = volume.name;
      mount.driver = volume.driver;
      mount.source = volume.mountpoint;
      if (mount.isAnonymous === true && !isNamed) {
        undo.defer("removing its volume", async () => {
          held.dispose();
          await context.volumes.remove(name, { force: true });
        });
      }
      if (mount.noCopy === true || mount.subpath !== undefined) continue;
      const volatile = container.hostConfig.AutoRemove && mount.isAnonymous === true;
      await context.volumes.fill(name, imageFolder(context, container, mount), { volatile });
    }
    return held;
  } catch (error) {
    held.dispose();
    // A plugin. Not `notFound`: clients would take it for the container's image and pull.
    if (error instanceof EngineError && error.kind === "notFound") throw new EngineError("invalid", error.message, { cause: error });
    throw error;
  }
}

function askedOptions(container: Container, mount: MountPoint): Pick<VolumeRequest, "options" | "labels"> {
  const request = container.hostConfig.Mounts?.find(({ Target }) => path.posix.resolve(Target) === mount.destination)?.VolumeOptions;
  const options = request?.DriverConfig?.Options;
  const labels = new Map(request?.Labels ?? []);
  if (mount.isAnonymous === true) labels.set(ANONYMOUS_LABEL, "");
  return { options: options?.size ? options : undefined, labels: labels.size > 0 ? labels : undefined };
}

function imageIdOf({ images }: ContainerContext, mount: MountPoint): string {
  const image = images.find(mount.source);
  // Not `notFound`, as above.
  if (image === undefined) throw new EngineError("invalid", `No such image: ${mount.source}`);
  return image.id;
}

/** The folder that the image has at a mount point's place, found as the container would: symlinks lead no further than its root. */
function imageFolder(context: ContainerContext, container: Container, { destination, name }: MountPoint): FillSource {
  return async (use) => {
    if (container.chainId === undefined) return;
    const target = path.join(paths.bundles(context.roots), `${container.id}-fill`);
    await mkdir(target, { recursive: true, mode: 0o700 });
    await context.layers.mountReadOnly(container.chainId, target);
    try {
      const folder = openBelow(target, destination);
      if (folder === undefined) return;
      try {
        await use(`/proc/${process.pid}/fd/${folder}/.`);
      } finally {
        close(folder);
      }
    } catch (error) {
      throw error instanceof EngineError
        ? error
        : new EngineError("system", `filling volume ${name}: ${messageOf(error)}`, { cause: error });
    } finally {
      await context.layers.unmountReadOnly(target);
      await rmdir(target);
    }
  };
}

/** Undefined where there is nothing. */
function openBelow(root: string, name: string): number | undefined {
  const base = openSync(root, O_PATH | O_DIRECTORY);
  try {
    return openInRoot(base, name.slice(1), O_PATH | O_DIRECTORY);
  } catch (error) {
    if (codeOf(error) === "ENOENT") return undefined;
    if (codeOf(error) === "ENOTDIR")
      throw new EngineError("invalid", `cannot mount volume over existing file, file exists ${name}`, { cause: error });
    throw error;
  } finally {
    close(base);
  }
}

/** What cannot be named by a path alone is mounted in the container's bundle first: parts of volumes, images, folders without what is below. */
export function needsMounting({ mounts }: Pick<Container, "mounts">): boolean {
  return mounts.some(({ type, isShallow }) => type === "volume" || type === "image" || isShallow === true);
}

function pinsFolder({ roots }: Pick<ContainerContext, "roots">, containerId: string): string {
  return path.join(paths.bundle(roots, containerId), "mounts");
}

/** The places of such mounts that are there. */
export function pinnedPlaces(context: Pick<ContainerContext, "roots">, containerId: string): string[] {
  const folder = pinsFolder(context, containerId);
  return existsSync(folder) ? readdirSync(folder).map((name) => path.join(folder, name)) : [];
}

/** Mounts what a container that starts is to see of volumes and images; gives its mount points with the sources of this run. */
export async function mountVolumes(context: ContainerContext, container: Container): Promise<MountPoint[]> {
  const folder = pinsFolder(context, container.id);
  const mounted: MountPoint[] = [];
  for (const [index, mount] of container.mounts.entries()) {
    const place = path.join(folder, String(index));
    switch (mount.type) {
      case "volume": {
        const source = await context.volumes.mount(mount.name, container.id);
        mounted.push({ ...mount, source: mount.subpath === undefined ? source : await pin(source, mount.subpath, place, mount.name) });
        break;
      }
      case "image": {
        const image = context.images.get(mount.imageId ?? mount.source);
        await mkdir(place, { recursive: true, mode: 0o700 });
        await context.layers.mountReadOnly(image.chainId, place);
        const { subpath } = mount;
        mounted.push({ ...mount, source: subpath === undefined ? place : await pin(place, subpath, `${place}-part`, mount.source) });
        break;
      }
      case "bind":
        mounted.push(mount.isShallow === true ? { ...mount, source: await pin(mount.source, "", place, mount.source) } : mount);
        break;
      case "tmpfs":
        mounted.push(mount);
    }
  }
  return mounted;
}

/** Mounts at `place` what lies at `subpath` now, whatever a symlink there may say later. */
async function pin(root: string, subpath: string, place: string, name: string): Promise<string> {
  const base = openSync(root, O_PATH);
  let found = base;
  try {
    if (subpath !== "") found = openInRoot(base, subpath, O_PATH);
    await mkdir(path.dirname(place), { recursive: true, mode: 0o700 });
    if (fstatSync(found).isDirectory()) await mkdir(place, { mode: 0o700 });
    else await writeFile(place, "", { mode: 0o600 });
    await bindMount(`/proc/self/fd/${found}`, place);
    return place;
  } catch (error) {
    throw new EngineError("invalid", `cannot access ${subpath === "" ? name : `path ${subpath} of ${name}`}: ${reasonOf(error)}`, {
      cause: error,
    });
  } finally {
    if (found !== base) close(found);
    close(base);
  }
}

/** A container has ended, or has all its mounts; idempotent. */
async function unpin(context: Pick<ContainerContext, "roots">, containerId: string): Promise<void> {
  for (const place of pinnedPlaces(context, containerId)) {
    while (await unmount(place));
    await removePlace(place);
  }
}

/** Never what is mounted there. */
export async function removePlace(place: string): Promise<void> {
  await (lstatSync(place).isDirectory() ? rmdir(place) : unlink(place));
}

/** A container has ended; idempotent. */
export async function unmountVolumes(context: ContainerContext, { id, mounts }: Pick<Container, "id" | "mounts">): Promise<void> {
  await unpin(context, id);
  for (const { type, name } of mounts) if (type === "volume") await context.volumes.unmount(name, id);
}

/** A container goes, and its anonymous volumes with it, but those that another has taken over. */
export async function removeAnonymousVolumes({ volumes, log }: ContainerContext, container: Container): Promise<void> {
  for (const { type, name, isAnonymous } of container.mounts) {
    if (type !== "volume" || isAnonymous !== true) continue;
    await volumes.remove(name, { force: true, goingContainer: container.id }).catch((error: unknown) => {
      if (!(error instanceof EngineError) || error.kind !== "conflict")
        log.warn({ volume: name, error: messageOf(error) }, "removing a container's volume");
    });
  }
}

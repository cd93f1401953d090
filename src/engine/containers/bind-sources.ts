import { mkdir, stat } from "node:fs/promises";
import path from "node:path";

import { EngineError, codeOf, messageOf } from "../../base/errors.ts";
import { mountRestrictions, readMounts } from "../../kernel/mount.ts";
import { isWithin } from "./binds.ts";
import type { Container, MountPoint } from "./container.ts";

/** What the host says of the sources of a container's binds and volumes. */
export interface BindFacts {
  /** Sources that are no folders. */
  files: ReadonlySet<string>;
  /** What may not be done there on the host (`ro`, `nodev`, …), by source. */
  restrictions: ReadonlyMap<string, readonly string[]>;
}

/**
 * Makes the folders of the host that `-v /source:/destination` names and that are not there, as Docker does at every start. `--mount`
 * makes none unless it says so: a missing source is a mistake there.
 */
export async function ensureBindSources({ mounts, hostConfig }: Pick<Container, "mounts" | "hostConfig">): Promise<void> {
  for (const { type, source, destination } of mounts) {
    if (type !== "bind" || (await isThere(source))) continue;
    const request = hostConfig.Mounts?.find(({ Target }) => path.posix.resolve(Target) === destination);
    if (request !== undefined && request.BindOptions?.CreateMountpoint !== true) continue;
    await makeFolder(source);
  }
}

/** A bind says of mounts made on its other side only what the mount of its source says of them itself (moby ensureShared). */
export function checkPropagation(mounts: readonly MountPoint[], dataRoot: string): MountPoint[] {
  if (!mounts.some(({ propagation }) => /^r?(shared|slave)$/.test(propagation))) return [...mounts];
  const table = readMounts();
  return mounts.map((mount) => {
    const wanted = /^r?(shared|slave)$/.exec(mount.propagation)?.[1];
    if (wanted === undefined) return mount;
    const holders = table.filter(({ target }) => isWithin(mount.source, target));
    const holder = holders.findLast(({ target }) => target.length === Math.max(...holders.map((one) => one.target.length)));
    if (holder === undefined || holder.propagation === "shared" || holder.propagation === wanted) return mount;
    // Nobody asked for it there (binds.ts).
    if (isWithin(mount.source, dataRoot) || isWithin(dataRoot, mount.source)) return { ...mount, propagation: "rprivate" };
    const needed = wanted === "shared" ? "a shared mount" : "a shared or slave mount";
    throw new EngineError("system", `path ${mount.source} is mounted on ${holder.target} but it is not ${needed}`);
  });
}

/** Of the sources as the runtime gets them; what is not there it will say itself. */
export async function readBindFacts(mounts: readonly MountPoint[]): Promise<BindFacts> {
  const files = new Set<string>();
  const restrictions = new Map<string, readonly string[]>();
  for (const { type, source } of mounts) {
    if (type === "tmpfs" || restrictions.has(source)) continue;
    try {
      if (!(await stat(source)).isDirectory()) files.add(source);
      restrictions.set(source, await mountRestrictions(source));
    } catch (error) {
      if (codeOf(error) !== "ENOENT") throw failure(source, error);
    }
  }
  return { files, restrictions };
}

async function isThere(source: string): Promise<boolean> {
  try {
    await stat(source);
    return true;
  } catch (error) {
    if (codeOf(error) === "ENOENT") return false;
    throw failure(source, error);
  }
}

async function makeFolder(source: string): Promise<void> {
  try {
    await mkdir(source, { recursive: true, mode: 0o755 });
  } catch (error) {
    throw failure(source, error);
  }
}

function failure(source: string, error: unknown): EngineError {
  return new EngineError("invalid", `error while creating mount source path '${source}': ${messageOf(error)}`, { cause: error });
}

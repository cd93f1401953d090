import { mkdir, stat } from "node:fs/promises";
import path from "node:path";

import { EngineError, codeOf, messageOf } from "../../base/errors.ts";
import { mountRestrictions } from "../../kernel/mount.ts";
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

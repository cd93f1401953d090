import { mkdir, stat } from "node:fs/promises";
import path from "node:path";

import { EngineError, codeOf, messageOf } from "../../base/errors.ts";
import type { Container } from "./container.ts";

/** What the host says of the sources of a container's binds. */
export interface BindFacts {
  /** Sources that are no folders. */
  files: ReadonlySet<string>;
}

/**
 * Makes the folders of the host that `-v /source:/destination` names and that are not there, as Docker does at every start. `--mount`
 * makes none unless it says so: a missing source is a mistake there.
 */
export async function ensureBindSources({ mounts, hostConfig }: Pick<Container, "mounts" | "hostConfig">): Promise<BindFacts> {
  const files = new Set<string>();
  for (const { type, source, destination } of mounts) {
    if (type !== "bind") continue;
    const isFile = await isFileAt(source);
    if (isFile === true) files.add(source);
    if (isFile !== undefined) continue;
    const request = hostConfig.Mounts?.find(({ Target }) => path.posix.resolve(Target) === destination);
    if (request !== undefined && request.BindOptions?.CreateMountpoint !== true) continue;
    await makeFolder(source);
  }
  return { files };
}

/** Undefined where there is nothing. */
async function isFileAt(source: string): Promise<boolean | undefined> {
  try {
    return !(await stat(source)).isDirectory();
  } catch (error) {
    if (codeOf(error) === "ENOENT") return undefined;
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

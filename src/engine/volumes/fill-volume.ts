import { readdir, rename, rm, mkdir, rmdir } from "node:fs/promises";
import path from "node:path";

import { failpoint } from "../../base/failpoint.ts";
import { syncFileSystem } from "../../kernel/file-attributes.ts";
import type { Database } from "../../store/database.ts";
import type { ChildPool } from "../../store/child/pool.ts";
import type { CopyRequest } from "../../store/pack/copy-tree.ts";
import { saveVolume, type VolumeRecord } from "./volume-records.ts";

/**
 * Copy-up: what an image has at a volume's place, brought into the volume. A crash leaves nothing of it or, once it is whole, the rest of
 * it to be moved: it is copied beside the data and then moved entry by entry, since the folder of the data itself may be mounted somewhere.
 */
export interface FillParts {
  database: Database;
  children: Pick<ChildPool, "run">;
}

/** `folder` is the volume's own, with `_data` in it; `source` the tree to copy. The caller has seen that the volume is empty. */
export async function fillVolume({ database, children }: FillParts, volume: VolumeRecord, folder: string, source: string): Promise<void> {
  const staging = path.join(folder, STAGING);
  await rm(staging, { recursive: true, force: true });
  await mkdir(staging, { mode: 0o700 });
  try {
    const request: CopyRequest = { from: source, to: staging, all: true };
    await children.run({ kind: "copy", payload: request, what: `copying the image's content into volume ${volume.name}`, heavy: true });
    failpoint("volumes.fill.copied");
    await syncFileSystem(staging);
  } catch (error) {
    await rm(staging, { recursive: true, force: true });
    throw error;
  }
  saveVolume(database, { ...volume, filling: true });
  await database.durable();
  failpoint("volumes.fill.begun");
  await finishFilling({ database, children }, volume, folder);
}

/** Moves what is not yet there; also after a crash. */
export async function finishFilling({ database, children }: FillParts, volume: VolumeRecord, folder: string): Promise<void> {
  const [staging, data] = [path.join(folder, STAGING), path.join(folder, "_data")];
  const names = await readdir(staging, { encoding: "buffer" }).catch(() => []);
  for (const name of names) await rename(join(staging, name), join(data, name));
  failpoint("volumes.fill.moved");
  // Owner, mode and times of the folder itself, which the moves have changed.
  const request: CopyRequest = { from: staging, to: data, all: true };
  if (names.length > 0 || (await isThere(staging))) {
    await children.run({ kind: "copy", payload: request, what: `finishing volume ${volume.name}`, heavy: false });
    await rmdir(staging);
  }
  saveVolume(database, { ...volume, filling: undefined });
}

/** What was being copied when the daemon died. */
export async function dropStaging(folder: string): Promise<void> {
  await rm(path.join(folder, STAGING), { recursive: true, force: true });
}

const STAGING = "_fill";

function join(folder: string, name: Buffer): Buffer {
  return Buffer.concat([Buffer.from(`${folder}/`), name]);
}

async function isThere(folder: string): Promise<boolean> {
  return readdir(folder).then(
    () => true,
    () => false,
  );
}

import { fstatSync, lstatSync, openSync } from "node:fs";
import { mkdir, opendir, readdir, rename, rm, rmdir } from "node:fs/promises";
import path from "node:path";

import { syncDirectory } from "../../base/atomic-file.ts";
import { codeOf } from "../../base/errors.ts";
import { failpoint } from "../../base/failpoint.ts";
import { syncFileSystem } from "../../kernel/file-attributes.ts";
import { close, O_DIRECTORY } from "../../kernel/openat.ts";
import type { ChildPool } from "../../store/child/pool.ts";
import { finishFolder, type CopyRequest } from "../../store/pack/copy-tree.ts";
import type { Database } from "../../store/database.ts";
import { saveVolume, type VolumeRecord } from "./volume-records.ts";

/**
 * Copy-up: what an image has at a volume's place, brought into the volume, all or nothing of it. It is copied into a folder apart. That takes
 * the place of the data's folder, which is empty, at one stroke; where the data's folder is mounted somewhere, which would go on showing the
 * old one, what is in it is moved entry by entry, and a crash leaves the rest to be moved.
 */
export interface FillParts {
  database: Database;
  children: Pick<ChildPool, "run">;
}

export interface FillPlace {
  data: string;
  /** A new folder for what is copied. */
  staging: string;
  /** It may take the place of the data's. */
  canReplace: boolean;
  /** A crash may take all of it. */
  volatile: boolean;
}

/** The caller has seen that the volume is empty. */
export async function fillVolume(parts: FillParts, volume: VolumeRecord, source: string, place: FillPlace): Promise<void> {
  const { database, children } = parts;
  const { data, staging } = place;
  if (await isEmpty(source)) {
    becomeLike(data, source);
    return;
  }
  await mkdir(staging, { recursive: true, mode: 0o700 });
  try {
    const request: CopyRequest = { from: source, to: staging, all: true };
    await children.run({ kind: "copy", payload: request, what: `copying the image's content into volume ${volume.name}`, heavy: true });
    failpoint("volumes.fill.copied");
    if (!place.volatile) await syncFileSystem(staging);
    failpoint("volumes.fill.synced");
  } catch (error) {
    await rm(staging, { recursive: true, force: true });
    throw error;
  }
  if (place.canReplace) {
    await replace(data, staging);
    if (!place.volatile) await syncDirectory(path.dirname(data));
    return;
  }
  saveVolume(database, { ...volume, filling: path.basename(staging) });
  await database.durable();
  failpoint("volumes.fill.begun");
  await finishFilling(database, volume, place);
}

/** Moves what is not yet there; also after a crash. What a container has written meanwhile stays. */
export async function finishFilling(database: Database, volume: VolumeRecord, { data, staging }: FillPlace): Promise<void> {
  const names = await readdir(staging, { encoding: "buffer" }).catch((error: unknown) => {
    if (codeOf(error) === "ENOENT") return undefined;
    throw error;
  });
  for (const name of names ?? []) {
    const target = join(data, name);
    if (lstatSync(target, { throwIfNoEntry: false }) === undefined) await rename(join(staging, name), target);
  }
  failpoint("volumes.fill.moved");
  if (names !== undefined) {
    becomeLike(data, staging);
    await rm(staging, { recursive: true, force: true });
  }
  saveVolume(database, { ...volume, filling: undefined });
}

export async function isEmpty(folder: string): Promise<boolean> {
  const entries = await opendir(folder);
  try {
    return (await entries.read()) === null;
  } finally {
    await entries.close();
  }
}

/** Unless somebody has written there at the last moment, which then counts as its content. */
async function replace(data: string, staging: string): Promise<void> {
  try {
    // A mount point among them would be busy, a folder with something in it not empty.
    await rename(staging, data);
  } catch (error) {
    await rm(staging, { recursive: true, force: true });
    if (!["ENOTEMPTY", "EEXIST"].includes(codeOf(error) ?? "")) throw error;
  }
}

/** Owner, mode, attributes and times of the folder itself. */
function becomeLike(folder: string, like: string): void {
  const from = openSync(like, O_DIRECTORY);
  try {
    const to = openSync(folder, O_DIRECTORY);
    try {
      finishFolder(from, to, fstatSync(from, { bigint: true }), folder, true);
    } finally {
      close(to);
    }
  } finally {
    close(from);
  }
}

function join(folder: string, name: Buffer): Buffer {
  return Buffer.concat([Buffer.from(`${folder}/`), name]);
}

/** Of an earlier daemon's, where nothing was filled. */
export async function removeEmptyVolume(folder: string): Promise<boolean> {
  try {
    await rmdir(path.join(folder, "_data"));
    await rmdir(folder);
    return true;
  } catch {
    return false;
  }
}

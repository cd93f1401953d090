import type { Stats } from "node:fs";
import { type FileHandle, open, readdir, stat } from "node:fs/promises";
import path from "node:path";

import { codeOf } from "../../base/errors.ts";

/** One file of a log, open: it stays readable whatever it is called by now, even when it was deleted. */
export interface LogFile {
  handle: FileHandle;
  isCompressed: boolean;
  /** Of the inode; it is not given out again while the file is open. */
  inode: number;
}

/** More files than any rotation makes: names beyond it are not ours. */
const MAX_GENERATION = 10_000;
const MAX_ATTEMPTS = 5;

/**
 * Opens all files of a log, oldest first: `PATH.2` (or `PATH.2.gz`), `PATH.1`, `PATH`. A rotation while we look moves files to higher
 * numbers; so the newest is opened first, a file that is met again is left out, and when the newest has changed we look again.
 */
export async function openLogFiles(logPath: string): Promise<LogFile[]> {
  for (let attempt = 1; ; attempt += 1) {
    const files = await openNewerThan(logPath, undefined);
    if (attempt === MAX_ATTEMPTS || (await inodeOf(logPath)) === files.at(-1)?.inode) return files;
    await closeLogFiles(files);
  }
}

/** Opens what came after `last` by rotation, oldest first. `hasGap`: `last` is gone from the folder, and perhaps others after it. */
export async function openRotated(logPath: string, last: LogFile): Promise<{ files: LogFile[]; hasGap: boolean }> {
  if ((await inodeOf(logPath)) === last.inode) return { files: [], hasGap: false };
  const files = await openNewerThan(logPath, last);
  // `openNewerThan` stops at `last`; where it went on to the oldest, that one is the first.
  const hasGap = files[0]?.inode !== last.inode;
  if (hasGap) return { files: await withoutCompressed(files), hasGap: files.length > 0 };
  const [same, ...newer] = files;
  await closeLogFiles(same === undefined ? [] : [same]);
  return { files: newer, hasGap: false };
}

export async function closeLogFiles(files: readonly LogFile[]): Promise<void> {
  await Promise.all(files.map(({ handle }) => handle.close()));
}

/** From the newest back to `last` (with it) or to the oldest; given back oldest first. */
async function openNewerThan(logPath: string, last: LogFile | undefined): Promise<LogFile[]> {
  const files: LogFile[] = [];
  const oldest = await oldestGeneration(logPath);
  try {
    // One more, for a rotation may happen meanwhile.
    for (let generation = 0; generation <= oldest + 1; generation += 1) {
      const file = await openGeneration(logPath, generation);
      if (file === undefined) continue;
      if (files.some(({ inode }) => inode === file.inode)) await file.handle.close();
      else files.unshift(file);
      if (file.inode === last?.inode) break;
    }
  } catch (error) {
    await closeLogFiles(files);
    throw error;
  }
  return files;
}

/** A compressed file cannot be told from `last`, which was compressed since: it is left out, and counts as a gap. */
async function withoutCompressed(files: LogFile[]): Promise<LogFile[]> {
  await closeLogFiles(files.filter(({ isCompressed }) => isCompressed));
  return files.filter(({ isCompressed }) => !isCompressed);
}

async function openGeneration(logPath: string, generation: number): Promise<LogFile | undefined> {
  const name = generation === 0 ? logPath : `${logPath}.${generation}`;
  // While it is compressed both are there, and the same.
  return (await openIfThere(name, false)) ?? (generation === 0 ? undefined : openIfThere(`${name}.gz`, true));
}

async function openIfThere(name: string, isCompressed: boolean): Promise<LogFile | undefined> {
  try {
    const handle = await open(name, "r");
    return { handle, isCompressed, inode: (await handle.stat()).ino };
  } catch (error) {
    if (codeOf(error) === "ENOENT") return undefined;
    throw error;
  }
}

async function oldestGeneration(logPath: string): Promise<number> {
  const prefix = `${path.basename(logPath)}.`;
  const names = await readdir(path.dirname(logPath)).catch((error: unknown) => {
    if (codeOf(error) === "ENOENT") return [];
    throw error;
  });
  const generations = names
    .filter((name) => name.startsWith(prefix))
    .map((name) => /^(\d+)(\.gz)?$/.exec(name.slice(prefix.length))?.[1])
    .map((digits) => (digits === undefined ? 0 : Number(digits)));
  return Math.max(0, ...generations.filter((generation) => generation <= MAX_GENERATION));
}

async function inodeOf(logPath: string): Promise<number | undefined> {
  return (await statIfThere(logPath))?.ino;
}

async function statIfThere(name: string): Promise<Stats | undefined> {
  try {
    return await stat(name);
  } catch (error) {
    if (codeOf(error) === "ENOENT") return undefined;
    throw error;
  }
}

import type { Stats } from "node:fs";
import { type FileHandle, open, readdir, stat } from "node:fs/promises";
import path from "node:path";

import { codeOf } from "../../base/errors.ts";
import { readCompressed } from "./read-file.ts";

/** One file of a log, open: it stays readable whatever it is called by now, even when it was deleted. */
export interface LogFile {
  handle: FileHandle;
  isCompressed: boolean;
  /** Of the inode; it is not given out again while the file is open. */
  inode: number;
}

/** More files than any rotation makes: names beyond it are not ours. */
const MAX_GENERATION = 10_000;
const MAX_ATTEMPTS = 10;
const BEGINNING_BYTES = 1024;

/** Opens all files of a log, oldest first: `PATH.2` (or `PATH.2.gz`), `PATH.1`, `PATH`. */
export async function openLogFiles(logPath: string): Promise<LogFile[]> {
  return openBackTo(logPath, undefined);
}

/**
 * Opens what came after `last` by rotation, oldest first. `hasGap`: `last` is gone from the folder, and others after it may be. (What is
 * left came after it then, for rotation deletes the oldest.)
 */
export async function openRotated(logPath: string, last: LogFile): Promise<{ files: LogFile[]; hasGap: boolean }> {
  if ((await inodeOf(logPath)) === last.inode) return { files: [], hasGap: false };
  const files = await openBackTo(logPath, last);
  const found = await indexOf(last, files);
  await closeLogFiles(files.slice(0, found + 1));
  const newer = files.slice(found + 1);
  return { files: newer, hasGap: found < 0 && newer.length > 0 };
}

/** Where `last` is among its files, itself or compressed since. -1: gone. */
async function indexOf(last: LogFile, files: readonly LogFile[]): Promise<number> {
  const same = files.findIndex(({ inode }) => inode === last.inode);
  if (same >= 0) return same;
  const beginning = Buffer.alloc(BEGINNING_BYTES);
  const { bytesRead } = await last.handle.read(beginning, 0, beginning.length, 0);
  for (const [index, file] of [...files.entries()].toReversed()) {
    if (!file.isCompressed) continue;
    for await (const block of readCompressed(file)) {
      // Records have times: no two files begin alike.
      if (block.subarray(0, bytesRead).equals(beginning.subarray(0, bytesRead))) return index;
      break;
    }
  }
  return -1;
}

export async function closeLogFiles(files: readonly LogFile[]): Promise<void> {
  await Promise.all(files.map(({ handle }) => handle.close()));
}

/**
 * From the newest back to `last` (with it) or to the oldest; given back oldest first. A rotation while we look moves files to higher
 * numbers and, compressed, makes new ones of them: when the newest has changed we look again.
 */
async function openBackTo(logPath: string, last: LogFile | undefined): Promise<LogFile[]> {
  for (let attempt = 1; ; attempt += 1) {
    const newest = await inodeOf(logPath);
    const files = await openOnce(logPath, last);
    if (attempt === MAX_ATTEMPTS || (await inodeOf(logPath)) === newest) return files;
    await closeLogFiles(files);
  }
}

async function openOnce(logPath: string, last: LogFile | undefined): Promise<LogFile[]> {
  const files: LogFile[] = [];
  const oldest = await oldestGeneration(logPath);
  try {
    // One more, for files may be on their way to the next number.
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

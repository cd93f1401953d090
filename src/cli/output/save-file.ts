import { closeSync, lstatSync, openSync, renameSync, rmSync, statSync, writeSync, type Stats } from "node:fs";
import path from "node:path";
import type { Readable } from "node:stream";
import { codeOf, messageOf, reasonOf } from "../../base/errors.ts";
import { CommandFailure } from "../failure.ts";
import { isTerminal, writeAll } from "./print.ts";

/**
 * An archive that the engine sends, to a file (`-o`) or to standard output, which must be no terminal. The file appears when it is whole:
 * what breaks off leaves nothing, and what stood there before stays.
 */
export async function saveArchive(file: string, what: string, ask: () => Promise<Readable>): Promise<void> {
  if (file === "") {
    if (isTerminal(1)) throw new CommandFailure("cowardly refusing to save to a terminal. Use the -o flag or redirect");
    // Without an encoding set, a body's chunks are Buffers.
    for await (const chunk of await ask()) writeAll(1, chunk as Buffer);
    return;
  }
  checkTarget(file, what);
  const temporary = path.join(path.dirname(file), `.tmp-${path.basename(file)}${process.pid}`);
  const leave = (): never => {
    rmSync(temporary, { force: true });
    process.exit(EXIT_SIGINT);
  };
  process.once("SIGINT", leave).once("SIGTERM", leave);
  try {
    const descriptor = openSync(temporary, "wx", 0o600);
    try {
      for await (const chunk of await ask()) writeWhole(descriptor, chunk as Buffer, file);
    } finally {
      closeSync(descriptor);
    }
    renameSync(temporary, file);
  } finally {
    rmSync(temporary, { force: true });
    process.off("SIGINT", leave).off("SIGTERM", leave);
  }
}

/** The exit status of a program that SIGINT ended, as a shell shows it. */
const EXIT_SIGINT = 130;

function writeWhole(descriptor: number, data: Buffer, file: string): void {
  try {
    for (let offset = 0; offset < data.length;) offset += writeSync(descriptor, data, offset);
  } catch (error) {
    throw new CommandFailure(`write ${file}: ${codeOf(error) === "ENOSPC" ? "no space left on device" : messageOf(error)}`, 1, {
      cause: error,
    });
  }
}

function checkTarget(file: string, what: string): void {
  const refuse = (why: string): never => {
    throw new CommandFailure(`failed to ${what}: ${why}`);
  };
  const folder = file.endsWith("/") ? file.replace(/\/+$/, "") || "/" : path.dirname(file);
  try {
    if (!statSync(folder).isDirectory()) refuse(`invalid output path: stat ${folder}: not a directory`);
  } catch (error) {
    if (error instanceof CommandFailure) throw error;
    refuse(`invalid output path: stat ${folder}: ${reasonOf(error)}`);
  }
  const found = lstatSync(file, { throwIfNoEntry: false });
  const kind = found === undefined ? undefined : kindOf(found);
  if (kind !== undefined) refuse(`cannot write to a ${kind}`);
}

function kindOf(found: Stats): string | undefined {
  if (found.isDirectory()) return "directory";
  if (found.isSymbolicLink()) return "symbolic link directly";
  if (found.isFIFO()) return "named pipe (FIFO)";
  if (found.isSocket()) return "socket";
  if (found.isCharacterDevice()) return "character device file";
  return found.isBlockDevice() ? "block device file" : undefined;
}

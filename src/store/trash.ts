import { readdir, rename, rmdir, unlink } from "node:fs/promises";
import { randomBytes } from "node:crypto";
import path from "node:path";

import { codeOf } from "../base/errors.ts";

/**
 * The trash: folders that are no longer wanted are renamed into it at once and deleted later, one file at a time, so that neither the
 * caller nor the daemon's thread pool waits. What a stop leaves in it, the next start deletes.
 */
export interface Trash {
  /** Moves a folder into the trash; nothing there: nothing to do. */
  discard(folder: string): Promise<void>;
  /** Resolves when everything discarded so far is deleted. */
  empty(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** How long a removal waits, so that deleting does not compete with the work that goes on right after it. */
const DELETE_DELAY_MS = 1000;

export function openTrash(folder: string, report: (error: unknown) => void): Trash {
  let closed = false;
  let timer: NodeJS.Timeout | undefined;
  let emptying: Promise<void> | undefined;

  const deleteAll = async (): Promise<void> => {
    for (;;) {
      const names = await readdir(folder);
      if (names.length === 0) return;
      for (const name of names) {
        if (closed) return;
        await deleteTree(path.join(folder, name), () => closed);
      }
    }
  };
  const empty = (): Promise<void> => {
    clearTimeout(timer);
    timer = undefined;
    emptying ??= deleteAll().finally(() => {
      emptying = undefined;
    });
    return emptying;
  };
  const schedule = (): void => {
    if (closed) return;
    timer ??= setTimeout(() => void empty().catch(report), DELETE_DELAY_MS).unref();
  };
  schedule();

  return {
    async discard(unwanted) {
      try {
        await rename(unwanted, path.join(folder, `${path.basename(unwanted)}-${randomBytes(4).toString("hex")}`));
        schedule();
      } catch (error) {
        if (codeOf(error) !== "ENOENT") throw error;
      }
    },
    empty,
    async [Symbol.asyncDispose]() {
      closed = true;
      clearTimeout(timer);
      await emptying?.catch(report);
    },
  };
}

/** One file at a time and without following symlinks. Names are bytes: a layer's need not be UTF-8. */
async function deleteTree(folder: string, stopped: () => boolean): Promise<void> {
  const stack: { folder: Buffer; listed: boolean }[] = [{ folder: Buffer.from(folder), listed: false }];
  for (let top = stack.at(-1); top !== undefined && !stopped(); top = stack.at(-1)) {
    if (top.listed) {
      await rmdir(top.folder);
      stack.pop();
      continue;
    }
    top.listed = true;
    for (const entry of await readdir(top.folder, { withFileTypes: true, encoding: "buffer" })) {
      const child = Buffer.concat([top.folder, Buffer.from("/"), entry.name]);
      if (entry.isDirectory()) stack.push({ folder: child, listed: false });
      else await unlink(child);
    }
  }
}

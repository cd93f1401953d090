import { readdirSync, readlinkSync } from "node:fs";

import { EngineError, codeOf } from "../../base/errors.ts";
import { statusAt } from "../../kernel/file-status.ts";
import * as at from "../../kernel/openat.ts";

/**
 * Removes what is at a place, a folder with all in it, name by name below descriptors: whoever puts symlinks there meanwhile leads us nowhere.
 * What is mounted stays, and is an error: the kernel would not stop us, for it only asks whether our own mount namespace has that mount.
 */
export function removeTreeAt(folder: number, name: string): void {
  const status = statusAt(folder, name);
  if (status === undefined) return;
  if (status.isMountPoint) {
    const path = Buffer.from(`${readlinkSync(`/proc/self/fd/${folder}`, "latin1")}/${name}`.replace("//", "/"), "latin1").toString("utf8");
    throw new EngineError("system", `unlinkat ${path}: device or resource busy`);
  }
  const isFolder = status.type === "directory";
  if (isFolder) removeContent(folder, name);
  try {
    at.unlinkAt(folder, name, { isFolder });
  } catch (error) {
    if (codeOf(error) !== "ENOENT") throw error;
  }
}

function removeContent(folder: number, name: string): void {
  const fd = at.openAt(folder, name, at.O_RDONLY | at.O_DIRECTORY | at.O_NOFOLLOW);
  try {
    for (const leaf of readdirSync(`/proc/self/fd/${fd}`, "latin1")) removeTreeAt(fd, leaf);
  } finally {
    at.close(fd);
  }
}

import { readlinkSync } from "node:fs";

import { EngineError, codeOf } from "../../base/errors.ts";
import type { FileTime } from "../../base/time.ts";
import { statusAt, type FileStatus } from "../../kernel/file-status.ts";
import { SystemCallError } from "../../kernel/ffi.ts";
import * as at from "../../kernel/openat.ts";

/** Names in a container's tree, as who calls the API writes them: absolute or not, with links in them that mean places in the tree. */

/** The daemon says it in the caller's words. */
export const NOTHING_THERE = "nothing is there";

/** What `X-Docker-Container-Path-Stat` tells. */
export interface PathStat {
  name: string;
  sizeBytes: number;
  type: FileStatus["type"];
  /** Without the bits of the type. */
  mode: number;
  modified: FileTime;
  /** Of a symlink: where it leads in the end, whether something is there or not. */
  linkTarget: string;
}

/** What is at a path itself; behind a slash at its end, what the symlink there leads to. */
export function statPath(tree: number, path: string): PathStat {
  const fd = openPath(tree, path, at.O_PATH | at.O_NOFOLLOW);
  try {
    const status = statusAt(fd, "");
    if (status === undefined) throw new Error(`${path} is open and not there`);
    const { type, mode, sizeBytes, modified } = status;
    return { name: baseName(path), sizeBytes, type, mode, modified, linkTarget: type === "symlink" ? followed(tree, path) : "" };
  } finally {
    at.close(fd);
  }
}

/** Opens a path, or says in Docker's words why not: `notFound` where there is nothing. */
export function openPath(tree: number, path: string, flags: number): number {
  try {
    return at.openInRoot(tree, path, flags);
  } catch (error) {
    if (!(error instanceof SystemCallError)) throw error;
    if (error.code === "ENOENT") throw new EngineError("notFound", NOTHING_THERE, { cause: error });
    const why = { ENOTDIR: "not a directory", ELOOP: "too many levels of symbolic links", ENAMETOOLONG: "file name too long" }[error.code];
    throw new EngineError("system", `lstat ${textOf(path)}: ${why ?? error.code}`, { cause: error });
  }
}

/** Where an open folder of the tree is. */
export function placeOf(fd: number): string {
  return readlinkSync(`/proc/self/fd/${fd}`, "latin1");
}

const MAX_LINKS = 255;

/** All symlinks on the way resolved, as far as there is something. */
function followed(tree: number, path: string): string {
  let links = 0;
  const left = path.split("/");
  let place: string[] = [];
  for (let part = left.shift(); part !== undefined; part = left.shift()) {
    if (part === "" || part === ".") continue;
    if (part === "..") {
      place.pop();
      continue;
    }
    const target = linkAt(tree, [...place, part].join("/"));
    if (target === undefined) {
      place.push(part);
      continue;
    }
    if (++links > MAX_LINKS) throw new EngineError("system", `lstat ${textOf(path)}: too many links`);
    if (target.startsWith("/")) place = [];
    left.unshift(...target.split("/"));
  }
  return `/${place.join("/")}`;
}

/** What the symlink at a path says; undefined for anything else, and for nothing. */
function linkAt(tree: number, path: string): string | undefined {
  let fd: number;
  try {
    fd = at.openInRoot(tree, path, at.O_PATH | at.O_NOFOLLOW);
  } catch (error) {
    if (["ENOENT", "ENOTDIR", "ELOOP", "ENAMETOOLONG"].includes(codeOf(error) ?? "")) return undefined;
    throw error;
  }
  try {
    return statusAt(fd, "")?.type === "symlink" ? at.readLink(fd) : undefined;
  } finally {
    at.close(fd);
  }
}

/** The last part of a path, as Go's filepath.Base has it. */
export function baseName(path: string): string {
  if (path === "") return ".";
  const trimmed = path.replace(/\/+$/, "");
  return trimmed === "" ? "/" : trimmed.slice(trimmed.lastIndexOf("/") + 1);
}

/** A binary string as people read it. */
export function textOf(binary: string): string {
  return Buffer.from(binary, "latin1").toString("utf8");
}

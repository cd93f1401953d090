import type { BigIntStats } from "node:fs";

import { attributesOf } from "../../kernel/file-attributes.ts";
import * as at from "../../kernel/openat.ts";
import { OPAQUE_ATTRIBUTE } from "../unpack/overlay-marks.ts";
import { CAPABILITY, isWhiteout, namesIn, openFolderAt, statusAt } from "./walk.ts";

/** What folders that lie over each other (descriptors, uppermost first) show as one, and how that differs from what lies over them. */

export function statusBelow(lower: number[], leaf: string): BigIntStats | undefined {
  for (const folder of lower) {
    const status = statusAt(folder, leaf);
    if (status !== undefined) return isWhiteout(status) ? undefined : status;
  }
  return undefined;
}

/** Names of all that shows. */
export function namesBelow(lower: number[]): string[] {
  return [...new Set(lower.flatMap(namesIn))].filter((leaf) => statusBelow(lower, leaf) !== undefined).sort();
}

/** The folders of that name which merge into one. */
export function foldersBelow(lower: number[], leaf: string): number[] {
  const folders: number[] = [];
  for (const folder of lower) {
    if (statusAt(folder, leaf) === undefined) continue;
    const fd = openFolderAt(folder, leaf);
    if (fd === undefined) break;
    folders.push(fd);
    if (isOpaque(fd)) break;
  }
  return folders;
}

export function isOpaque(folder: number): boolean {
  return attributesOf(`/proc/self/fd/${folder}/.`).has(OPAQUE_ATTRIBUTE);
}

/** By the rules of moby's pkg/archive: mode, owner, device, capability, size and time, of folders not the latter two. */
export function differs(own: number, lower: number[], leaf: string, status: BigIntStats, before: BigIntStats): boolean {
  if (status.mode !== before.mode || status.uid !== before.uid || status.gid !== before.gid || status.rdev !== before.rdev) return true;
  if (!status.isDirectory() && (status.size !== before.size || !isSameTime(status.mtimeNs, before.mtimeNs))) return true;
  const holder = lower.find((folder) => statusAt(folder, leaf) !== undefined);
  return holder !== undefined && capabilityOf(own, leaf) !== capabilityOf(holder, leaf);
}

function capabilityOf(folder: number, leaf: string): string | undefined {
  return attributesOf(`/proc/self/fd/${folder}/${leaf}`).get(CAPABILITY)?.toString("hex");
}

/** One that came out of a tar has lost what is finer than a second. */
function isSameTime(a: bigint, b: bigint): boolean {
  const [one, other] = [at.timeOf(a), at.timeOf(b)];
  if (one.seconds !== other.seconds) return false;
  return one.nanoseconds === other.nanoseconds || one.nanoseconds === 0 || other.nanoseconds === 0;
}

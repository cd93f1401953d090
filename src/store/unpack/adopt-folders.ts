import { constants, fstatSync, openSync } from "node:fs";

import { codeOf } from "../../base/errors.ts";
import { attributesOf, setAttribute } from "../../kernel/file-attributes.ts";
import * as at from "../../kernel/openat.ts";
import { OPAQUE_ATTRIBUTE } from "./overlay-marks.ts";

/**
 * Folders that a layer's archive does not bring but has files in: what they are is said by a layer below. Overlayfs shows the attributes of
 * the uppermost, so ours get those of the one it lies over. Runs when the layers below are unpacked, in a child, as unpacking does.
 */
export interface AdoptRequest {
  folder: string;
  /** Folders of the layers below, uppermost first. */
  below: string[];
  /** Binary strings; "" is the layer's root. Each after those above it. */
  names: string[];
}

export function adoptFolders({ folder, below, names }: AdoptRequest): void {
  const own = openFolder(folder);
  using layers = openLayers(below);
  try {
    for (const name of names.toReversed()) adopt(own, layers.fds, name);
  } finally {
    at.close(own);
  }
}

/** Descriptors of layers' folders. */
export function openLayers(folders: string[]): { fds: number[] } & Disposable {
  const fds = folders.map(openFolder);
  return {
    fds,
    [Symbol.dispose]: () => {
      for (const fd of fds) at.close(fd);
    },
  };
}

/**
 * Gives the folder called `name` the owner, mode, attributes and time that it has in the layers below, if it has. Deepest first, as a change
 * within a folder changes its time.
 */
export function adopt(own: number, layers: number[], name: string): void {
  const target = openReal(own, name);
  if (typeof target !== "number") return;
  const source = findBelow(layers, name);
  try {
    if (source === undefined) return;
    const { uid, gid, mode, mtimeNs } = fstatSync(source, { bigint: true });
    at.changeOwner(target, Number(uid), Number(gid), name);
    at.changeMode(target, Number(mode) & 0o7777, name);
    for (const [key, value] of attributesOf(`/proc/self/fd/${source}/.`)) {
      if (!key.startsWith("trusted.overlay.")) setAttribute(target, key, value, key);
    }
    at.setTimes(target, at.timeOf(mtimeNs), name);
  } finally {
    at.close(target);
    if (source !== undefined) at.close(source);
  }
}

/** The folder as the layers below show it; undefined when they show none. The descriptor is the caller's. */
export function findBelow(layers: number[], name: string): number | undefined {
  for (const layer of layers) {
    const found = openReal(layer, name);
    if (typeof found === "number") return found;
    if (found === "another" || hidesWhatIsBelow(layer, name)) return undefined;
  }
  return undefined;
}

/** A folder reached through folders only; "another" when something else is in its place or on the way. */
function openReal(root: number, name: string): number | "nothing" | "another" {
  try {
    return at.openInRoot(root, name, at.O_RDONLY | at.O_DIRECTORY | at.O_NOFOLLOW, { symlinks: false });
  } catch (error) {
    if (codeOf(error) === "ENOENT") return "nothing";
    if (codeOf(error) === "ENOTDIR" || codeOf(error) === "ELOOP") return "another";
    throw error;
  }
}

/** Whether a folder on the way to `name` is opaque in this layer. */
function hidesWhatIsBelow(layer: number, name: string): boolean {
  const parts = name.split("/");
  return parts.some((_part, depth) => {
    const fd = openReal(layer, parts.slice(0, depth).join("/"));
    if (typeof fd !== "number") return false;
    try {
      return attributesOf(`/proc/self/fd/${fd}/.`).has(OPAQUE_ATTRIBUTE);
    } finally {
      at.close(fd);
    }
  });
}

function openFolder(folder: string): number {
  return openSync(folder, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
}

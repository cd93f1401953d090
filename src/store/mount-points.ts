import { chmodSync, existsSync, mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import path from "node:path";

import * as at from "../kernel/openat.ts";
import type { MountPlace } from "./layers.ts";
import { adopt, findBelow, openLayers } from "./unpack/adopt-folders.ts";

/**
 * What a runtime mounts over has to be there. It is kept in a layer of its own right above the image, Docker's "init layer", so that it is
 * neither among what a container has changed nor in what is made of it by commit or build. As in Docker, the files are empty and
 * hide those of the image, the folders are made only where they are missing.
 */
const FILES = [".dockerenv", "dev/console", "etc/hostname", "etc/hosts", "etc/resolv.conf"];
const LINKS = [["etc/mtab", "/proc/mounts"]] as const;
const PARENTS = ["dev", "etc"];
const FOLDERS = ["dev/pts", "dev/shm", "proc", "sys"];

/** Where `ensureMountPoints` has them. */
export function mountPointsIn(home: string): string {
  return path.join(home, "init");
}

/**
 * The folder of mount points for a tree of layers (uppermost first), which is made in `home` by the first who asks. Takes less than a
 * millisecond, and nothing comes in between.
 */
export function ensureMountPoints(home: string, below: string[]): string {
  const folder = mountPointsIn(home);
  if (existsSync(folder)) return folder;
  const growing = path.join(home, "init-new");
  rmSync(growing, { recursive: true, force: true });
  makeFolder(growing);
  for (const name of PARENTS) makeFolder(path.join(growing, name));
  for (const name of FILES) makeFile(path.join(growing, name));
  for (const [name, target] of LINKS) symlinkSync(target, path.join(growing, name));
  using layers = openLayers([growing, ...below]);
  const [own = -1, ...fds] = layers.fds;
  for (const name of FOLDERS) {
    const there = findBelow(fds, name);
    if (there === undefined) makeFolder(path.join(growing, name));
    else at.close(there);
  }
  for (const name of [...PARENTS, ""]) adopt(own, fds, name);
  renameSync(growing, folder);
  return folder;
}

/** The same for the places of a build's mounts, in a folder of the caller's. */
export function makeMountPlaces(folder: string, below: string[], places: readonly MountPlace[]): void {
  makeFolder(folder);
  const made = new Set([""]);
  for (const { path: place, isFolder } of places) {
    const parts = place.split("/");
    for (let depth = 1; depth <= parts.length; depth += 1) {
      const name = parts.slice(0, depth).join("/");
      if (made.has(name)) continue;
      const file = Buffer.from(path.join(folder, name), "latin1");
      if (depth < parts.length || isFolder) {
        mkdirSync(file);
        chmodSync(file, 0o755);
        made.add(name);
      } else writeFileSync(file, "");
    }
  }
  using layers = openLayers([folder, ...below]);
  const [own = -1, ...fds] = layers.fds;
  for (const name of [...made].toReversed()) adopt(own, fds, name);
}

function makeFolder(folder: string): void {
  mkdirSync(folder);
  // Whatever the daemon's umask is.
  chmodSync(folder, 0o755);
}

function makeFile(file: string): void {
  writeFileSync(file, "");
  chmodSync(file, 0o755);
}

import type { FileTime } from "../../base/time.ts";
import { lstatSync, readlinkSync, type Stats } from "node:fs";

import { EngineError, codeOf, messageOf } from "../../base/errors.ts";
import { setAttribute, setAttributeOfPath } from "../../kernel/file-attributes.ts";
import { ownershipOf } from "../../kernel/file-status.ts";
import * as at from "../../kernel/openat.ts";
import { removeTreeAt } from "./remove-tree.ts";
import { MAX_PATH_BYTES, parseEntryPath, printable, type EntryPath } from "./entry-path.ts";
import { OPAQUE_ATTRIBUTE, OPAQUE_VALUE } from "./overlay-marks.ts";
import type { TarEntry, TarSink } from "../../tar/tar-reader.ts";

/**
 * Writes a layer's entries into a folder as overlayfs wants them: `.wh.NAME` becomes a character device 0:0 called NAME, `.wh..wh..opq`
 * the attribute `trusted.overlay.opaque` of its folder (image-spec, "Whiteouts").
 *
 * Nothing is ever written outside: a folder is opened with openat2 as if the layer's root were `/`, a leaf is made by name below that
 * descriptor and only if nothing is there. An entry that is there twice replaces the first, but a folder over a folder merges, as in
 * Docker. Owners go before modes and attributes (a chown drops setuid and capabilities), folders' times and attributes come last (files
 * made in it would change its time, and inherit its default ACL).
 */
export class LayerWriter implements TarSink {
  readonly #root: number;
  readonly #rootPath: string;
  readonly #limits: LayerLimits;
  /** `none`: their names mean nothing, as in any tree that is no layer. */
  readonly #whiteouts: "marks" | "none";
  /** Descriptors of folders by path, oldest first. */
  readonly #folders = new Map<string, number>();
  /** What folders get at the end. */
  readonly #lateFolders = new Map<string, { modified: FileTime; attributes: Map<string, Buffer> }>();
  /** Folders that no entry brought, so far: see adopt-folders.ts. */
  readonly #implied = new Set([""]);
  #impliedBytes = 0;
  #lateBytes = 0;
  #entries = 0;
  #bytes = 0;
  #file: { fd: number; path: EntryPath; entry: TarEntry; hasHoles: boolean } | undefined;
  #current = "";
  #hasReplaced = false;

  /** `root` is a descriptor of the folder and stays the caller's. */
  constructor(root: number, limits: LayerLimits, options: { whiteouts?: "marks" | "none" } = {}) {
    this.#whiteouts = options.whiteouts ?? "marks";
    this.#root = root;
    this.#rootPath = readlinkSync(`/proc/self/fd/${root}`, "latin1");
    this.#limits = limits;
  }

  /** Bytes of all regular files and of what symlinks say, as Docker counts. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Folders that are there for the sake of what is in them; binary strings, each after those above it. */
  get implied(): string[] {
    return [...this.#implied];
  }

  /** The entry that was begun last, for messages. */
  get current(): string {
    return this.#current;
  }

  /** The file that is being written: where it lies in the layer. */
  get writing(): { path: string; sizeBytes: number } | undefined {
    if (this.#file === undefined) return undefined;
    return { path: joined(this.#file.path), sizeBytes: this.#file.entry.sizeBytes };
  }

  /** An entry took the place of an earlier one, whose content is gone. */
  get hasReplaced(): boolean {
    return this.#hasReplaced;
  }

  begin(entry: TarEntry): void {
    this.#current = entry.name;
    this.#entries += 1;
    if (this.#entries > this.#limits.maxEntries) {
      throw new EngineError("invalid", `the layer has more than ${this.#limits.maxEntries} entries`);
    }
    this.#bytes += entry.type === "symlink" ? entry.linkName.length : entry.sizeBytes;
    if (this.#bytes > this.#limits.maxBytes) {
      throw new EngineError("invalid", `the layer's files have more than ${this.#limits.maxBytes} bytes`);
    }
    const path = parseEntryPath(entry.name);
    if (path.name === "") {
      // Elsewhere the folder that is unpacked into is somebody's already, as in Docker.
      if (this.#whiteouts === "marks") this.#rootEntry(entry);
    } else if (this.#whiteouts === "marks" && path.name.startsWith(WHITEOUT_PREFIX)) this.#whiteout(path);
    else this.#make(path, entry);
  }

  data(bytes: Buffer): void {
    if (this.#file !== undefined) at.writeAll(this.#file.fd, bytes, this.#file.entry.name);
  }

  hole(bytes: number): void {
    if (this.#file === undefined) return;
    at.skip(this.#file.fd, bytes, printable(this.#file.entry.name));
    this.#file.hasHoles = true;
  }

  end(): void {
    if (this.#file === undefined) return;
    const { fd, entry, hasHoles } = this.#file;
    this.#file = undefined;
    try {
      if (hasHoles) at.setSize(fd, entry.sizeBytes, printable(entry.name));
      own(fd, entry);
      for (const [name, value] of entry.attributes) {
        tolerateUnsupported(name, () => setAttribute(fd, name, value, printable(entry.name)));
      }
      at.setTimes(fd, entry.modified, entry.name);
    } finally {
      at.close(fd);
    }
  }

  /** Gives folders their times and attributes, deepest last made first. */
  finish(): void {
    for (const [folder, late] of [...this.#lateFolders].toReversed()) {
      let fd: number;
      try {
        fd = at.openInRoot(this.#root, folder, at.O_RDONLY | at.O_DIRECTORY | at.O_NOFOLLOW);
      } catch (error) {
        // Replaced later in the archive by something that is no folder.
        if (["ENOENT", "ENOTDIR", "ELOOP"].includes(codeOf(error) ?? "")) continue;
        throw error;
      }
      try {
        for (const [name, value] of late.attributes) {
          tolerateUnsupported(name, () => setAttribute(fd, name, value, printable(folder)));
        }
        at.setTimes(fd, late.modified, folder);
      } finally {
        at.close(fd);
      }
    }
  }

  /** Lets go of every descriptor. A file that is not whole goes. */
  close(): void {
    if (this.#file !== undefined) {
      const { fd, path } = this.#file;
      at.close(fd);
      removeTreeAt(this.#folder(path.folder), path.name);
    }
    this.#file = undefined;
    this.#forgetFolders();
  }

  #rootEntry(entry: TarEntry): void {
    if (entry.type !== "directory") throw new EngineError("invalid", `the layer's root is to be a ${entry.type}`);
    at.changeOwnerAt(this.#root, ".", entry.user, entry.group);
    at.changeModeAt(this.#root, ".", entry.mode);
    this.#later("", entry);
  }

  #make(path: EntryPath, entry: TarEntry): void {
    const folder = this.#folder(path.folder);
    switch (entry.type) {
      case "file":
        this.#file = {
          fd: this.#replacing(folder, path.name, () =>
            at.openAt(folder, path.name, at.O_WRONLY | at.O_CREAT | at.O_EXCL | at.O_NOFOLLOW, entry.mode & 0o777),
          ),
          path,
          entry,
          hasHoles: false,
        };
        return;
      case "directory":
        this.#makeFolder(folder, path.name);
        at.changeOwnerAt(folder, path.name, entry.user, entry.group);
        at.changeModeAt(folder, path.name, entry.mode);
        this.#later(joined(path), entry);
        return;
      case "symlink":
        this.#replacing(folder, path.name, () => at.symlinkAt(entry.linkName, folder, path.name));
        at.changeOwnerAt(folder, path.name, entry.user, entry.group);
        break;
      case "hardlink":
        this.#link(folder, path, parseEntryPath(entry.linkName));
        return;
      case "character":
      case "block":
      case "fifo": {
        const type = { character: at.S_IFCHR, block: at.S_IFBLK, fifo: at.S_IFIFO }[entry.type];
        this.#replacing(folder, path.name, () => at.makeNodeAt(folder, path.name, type | entry.mode, entry));
        at.changeOwnerAt(folder, path.name, entry.user, entry.group);
        at.changeModeAt(folder, path.name, entry.mode);
        break;
      }
    }
    for (const [name, value] of entry.attributes) {
      tolerateUnsupported(name, () => setAttributeOfPath(`/proc/self/fd/${folder}/${path.name}`, name, value));
    }
    at.setTimesAt(folder, path.name, entry.modified);
  }

  #link(folder: number, path: EntryPath, target: EntryPath): void {
    if (target.folder === path.folder && target.name === path.name) return;
    let targetFolder: number;
    try {
      targetFolder = this.#openFolder(target.folder);
    } catch (error) {
      throw new EngineError("invalid", "the file it is a hard link to is not in the layer", { cause: error });
    }
    try {
      this.#replacing(folder, path.name, () => at.linkAt(targetFolder, target.name === "" ? "." : target.name, folder, path.name));
    } catch (error) {
      if (codeOf(error) === "ENOENT")
        throw new EngineError("invalid", "the file it is a hard link to is not in the layer", { cause: error });
      throw error;
    } finally {
      at.close(targetFolder);
    }
  }

  #whiteout(path: EntryPath): void {
    if (path.name === OPAQUE_NAME) {
      const folder = this.#folder(path.folder);
      setAttributeOfPath(`/proc/self/fd/${folder}/.`, OPAQUE_ATTRIBUTE, OPAQUE_VALUE);
      return;
    }
    // Files that aufs kept for itself.
    if (path.name.startsWith(WHITEOUT_PREFIX + WHITEOUT_PREFIX)) return;
    const name = path.name.slice(WHITEOUT_PREFIX.length);
    if (name === "" || name === "." || name === "..")
      throw new EngineError("invalid", "a whiteout of a folder itself or of the one above it");
    const folder = this.#folder(path.folder);
    try {
      at.makeNodeAt(folder, name, at.S_IFCHR, { major: 0, minor: 0 });
    } catch (error) {
      if (codeOf(error) !== "EEXIST") throw error;
      // A whiteout hides what lies below the layer, never what the layer itself brings.
      const there = statAt(folder, name);
      if (there.isDirectory()) setAttributeOfPath(`/proc/self/fd/${folder}/${name}`, OPAQUE_ATTRIBUTE, OPAQUE_VALUE);
    }
  }

  #makeFolder(folder: number, name: string): void {
    try {
      at.makeDirectoryAt(folder, name, 0o755);
      return;
    } catch (error) {
      if (codeOf(error) !== "EEXIST") throw error;
    }
    const there = statAt(folder, name);
    if (there.isDirectory()) return;
    this.#clear(folder, name);
    at.makeDirectoryAt(folder, name, 0o755);
    // A folder in the place of a whiteout must hide the deleted one below it, not merge with it.
    const wasWhiteout = there.isCharacterDevice() && there.rdev === 0;
    if (wasWhiteout) setAttributeOfPath(`/proc/self/fd/${folder}/${name}`, OPAQUE_ATTRIBUTE, OPAQUE_VALUE);
  }

  #replacing<T>(folder: number, name: string, make: () => T): T {
    try {
      return make();
    } catch (error) {
      if (codeOf(error) !== "EEXIST") throw error;
    }
    this.#clear(folder, name);
    return make();
  }

  /** Removes what is at a place, a folder with all in it. Descriptors other than `folder` that lead there are forgotten. */
  #clear(folder: number, name: string): void {
    removeTreeAt(folder, name);
    this.#forgetFolders(folder);
    this.#hasReplaced = true;
  }

  #later(folder: string, entry: TarEntry): void {
    for (const value of entry.attributes.values()) this.#lateBytes += value.length;
    this.#lateBytes += folder.length + LATE_FOLDER_BYTES;
    if (this.#lateBytes > this.#limits.maxMemoryBytes) {
      throw new EngineError("invalid", `the names of the layer's folders take more than ${this.#limits.maxMemoryBytes} bytes`);
    }
    this.#implied.delete(folder);
    this.#lateFolders.delete(folder);
    this.#lateFolders.set(folder, { modified: entry.modified, attributes: entry.attributes });
  }

  /** The descriptor of a folder, made with all above it when it is missing. Valid until the next call. */
  #folder(folder: string): number {
    const known = this.#folders.get(folder);
    if (known !== undefined) return known;
    let fd: number;
    try {
      fd = this.#openFolder(folder);
    } catch (error) {
      if (codeOf(error) !== "ENOENT") throw error;
      this.#makeMissing(folder);
      fd = this.#openFolder(folder);
    }
    if (this.#folders.size >= MAX_OPEN_FOLDERS) {
      for (const [oldest, oldestFd] of this.#folders) {
        this.#folders.delete(oldest);
        at.close(oldestFd);
        break;
      }
    }
    this.#folders.set(folder, fd);
    return fd;
  }

  /** Makes the folders of a path that no entry brought: owned by root, mode 0755. */
  #makeMissing(folder: string): void {
    const parts = folder.split("/");
    for (let depth = 1; depth <= parts.length; depth += 1) {
      const path = parseEntryPath(parts.slice(0, depth).join("/"));
      const above = this.#openFolder(path.folder);
      try {
        at.makeDirectoryAt(above, path.name, 0o755);
        const made = parts.slice(0, depth).join("/");
        this.#impliedBytes += made.length;
        if (this.#impliedBytes < MAX_IMPLIED_BYTES) this.#implied.add(made);
      } catch (error) {
        if (codeOf(error) !== "EEXIST") throw error;
      } finally {
        at.close(above);
      }
    }
  }

  #openFolder(folder: string): number {
    const fd = at.openInRoot(this.#root, folder, at.O_PATH | at.O_DIRECTORY);
    try {
      this.#checkInside(fd);
      return fd;
    } catch (error) {
      at.close(fd);
      throw error;
    }
  }

  /** Symlinks can lead deeper than any name is long, too deep to be deleted again. And nothing is outside, whatever the kernel thinks. */
  #checkInside(fd: number): void {
    const real = readlinkSync(`/proc/self/fd/${fd}`, "latin1");
    if (real !== this.#rootPath && !real.startsWith(this.#rootPath === "/" ? "/" : `${this.#rootPath}/`))
      throw new EngineError("invalid", "leads out of the layer");
    if (real.length - this.#rootPath.length > MAX_PATH_BYTES)
      throw new EngineError("invalid", `lies deeper than ${MAX_PATH_BYTES} bytes of path`);
  }

  #forgetFolders(except?: number): void {
    for (const [folder, fd] of this.#folders) {
      if (fd === except) continue;
      this.#folders.delete(folder);
      at.close(fd);
    }
  }
}

export interface LayerLimits {
  maxEntries: number;
  /** Of all files together. */
  maxBytes: number;
  /** For what has to be remembered to the end. */
  maxMemoryBytes: number;
}

const WHITEOUT_PREFIX = ".wh.";
const OPAQUE_NAME = ".wh..wh..opq";
const MAX_OPEN_FOLDERS = 256;
/** About what an entry of #lateFolders takes beside its name. */
const LATE_FOLDER_BYTES = 200;
/** Of the names of folders that no entry brought; the others beyond keep owner root and mode 0755, as all of them do with Docker. */
const MAX_IMPLIED_BYTES = 256 * 1024;

/** overlayfs's own attributes in an image could make it show what the layer does not hold; nobody packs them honestly. */
const FORBIDDEN_ATTRIBUTES = /^(?:trusted|user)\.overlay\./;

/** Like Docker, goes on without an attribute that the file system cannot hold. */
function tolerateUnsupported(name: string, set: () => void): void {
  if (FORBIDDEN_ATTRIBUTES.test(name)) return;
  try {
    set();
  } catch (error) {
    if (!["EOPNOTSUPP", "ENOTSUP", "EPERM"].includes(codeOf(error) ?? ""))
      throw new EngineError("invalid", messageOf(error), { cause: error });
  }
}

/** Owner and mode of a file that was just made: most have them already, and asking is far cheaper than a change. */
function own(fd: number, { user, group, mode, name }: TarEntry): void {
  const made = ownershipOf(fd, name);
  const isOthers = made.user !== user || made.group !== group;
  if (isOthers) at.changeOwner(fd, user, group, name);
  // A change of the owner takes setuid bits away.
  if (isOthers || made.mode !== mode) at.changeMode(fd, mode, name);
}

function joined(path: EntryPath): string {
  return path.folder === "" ? path.name : `${path.folder}/${path.name}`;
}

function statAt(folder: number, name: string): Stats {
  return lstatSync(Buffer.from(`/proc/self/fd/${folder}/${name}`, "latin1"));
}

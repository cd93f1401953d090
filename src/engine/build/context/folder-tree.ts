import { closeSync, constants, fstatSync, openSync, readSync, readdirSync, readlinkSync } from "node:fs";

import { EngineError, codeOf } from "../../../base/errors.ts";
import { attributeOfOpen, attributesOf } from "../../../kernel/file-attributes.ts";
import { type FileStatus, statusAt } from "../../../kernel/file-status.ts";
import * as at from "../../../kernel/openat.ts";
import { accountNames } from "./account-names.ts";
import { type Content, resolveInTree, type Tree, type TreeNode } from "./tree.ts";
import type { StatCache } from "./stat-cache.ts";
import { startSum } from "./sums.ts";

/**
 * A folder of this machine as a tree: a mounted image, a local context, something downloaded. Every path is opened as if the folder were
 * `/`, so no symlink leads out of it, whoever moves things about meanwhile.
 */
export class FolderTree implements Tree {
  readonly #root: number;
  readonly #options: FolderTreeOptions;
  readonly #nodes = new Map<string, TreeNode | undefined>();
  readonly #statuses = new Map<string, FileStatus>();
  readonly #sums = new Map<string, string>();
  /** The folder that was looked into last: the next path is most often in it, too. */
  #folder: { path: string; descriptor: number } | undefined;

  constructor(root: string, options: FolderTreeOptions = {}) {
    this.#root = openSync(root, at.O_PATH | constants.O_DIRECTORY);
    this.#options = options;
  }

  get(path: string): TreeNode | undefined {
    if (!this.#nodes.has(path)) this.#nodes.set(path, this.#look(path));
    return this.#nodes.get(path);
  }

  list(path: string): string[] {
    const fd = at.openInRoot(this.#root, path, at.O_RDONLY | at.O_DIRECTORY | at.O_NOFOLLOW);
    try {
      const names = readdirSync(`/proc/self/fd/${fd}`, { encoding: "latin1" });
      return names.filter((name) => this.get(path === "" ? name : `${path}/${name}`) !== undefined).sort();
    } finally {
      at.close(fd);
    }
  }

  sum(path: string): string {
    const real = resolveInTree(this, path);
    const node = this.get(real);
    if (node === undefined) return real;
    const status = this.#statuses.get(real);
    const cache = this.#options.statCache;
    const known = status && cache?.get(real, status);
    if (known !== undefined) return known;
    // Many symlinks may lead to one file.
    const sum = this.#sums.get(real) ?? this.#hash(node);
    this.#sums.set(real, sum);
    if (status !== undefined) cache?.set(real, status, sum);
    return sum;
  }

  open(node: TreeNode): Content {
    const name = node.path.slice(node.path.lastIndexOf("/") + 1);
    const descriptor = at.openAt(this.#folderOf(node.path), name, at.O_RDONLY | at.O_NOFOLLOW | constants.O_NONBLOCK);
    const capability = attributeOfOpen(descriptor, CAPABILITY, name);
    return {
      descriptor,
      isOwned: true,
      segments: node.sizeBytes === 0 ? [] : [{ at: 0, offset: 0, length: node.sizeBytes }],
      attributes: capability === undefined ? NO_ATTRIBUTES : new Map([[CAPABILITY, capability]]),
    };
  }

  close(): void {
    this.#options.statCache?.save();
    this.#closeFolder();
    closeSync(this.#root);
  }

  #look(path: string): TreeNode | undefined {
    try {
      return this.#nodeAt(path);
    } catch (error) {
      if (["ENOENT", "ENOTDIR", "ELOOP"].includes(codeOf(error) ?? "")) return undefined;
      throw error;
    }
  }

  /** A name for the path by which plain calls reach it, and no symlink on the way is followed out of the root. */
  #placeOf(path: string): string {
    return `/proc/self/fd/${this.#folderOf(path)}/${path === "" ? "." : path.slice(path.lastIndexOf("/") + 1)}`;
  }

  /** The descriptor of the folder that a path is in. Valid until the next call. */
  #folderOf(path: string): number {
    const slash = path.lastIndexOf("/");
    const folder = slash === -1 ? "" : path.slice(0, slash);
    if (this.#folder?.path !== folder) {
      const descriptor = at.openInRoot(this.#root, folder, at.O_PATH | at.O_DIRECTORY);
      this.#closeFolder();
      this.#folder = { path: folder, descriptor };
    }
    return this.#folder.descriptor;
  }

  #closeFolder(): void {
    if (this.#folder !== undefined) at.close(this.#folder.descriptor);
    this.#folder = undefined;
  }

  #nodeAt(path: string): TreeNode | undefined {
    const status = statusAt(this.#folderOf(path), path === "" ? "." : path.slice(path.lastIndexOf("/") + 1));
    // No archive can hold a socket.
    if (status === undefined || status.type === "socket") return undefined;
    const { type, mode, sizeBytes, modified, major, minor } = status;
    if (path !== "" && this.#options.isHidden?.(path, type === "directory") === true) return undefined;
    this.#statuses.set(path, status);
    const owned = this.#options.keepOwners !== false;
    const attributes = (): Map<string, Buffer> => new Map([...attributesOf(this.#placeOf(path))].filter(([name]) => name === CAPABILITY));
    let known: Map<string, Buffer> | undefined;
    return {
      path,
      type,
      mode,
      user: owned ? status.user : 0,
      group: owned ? status.group : 0,
      modified,
      sizeBytes: type === "file" ? sizeBytes : 0,
      target: type === "symlink" ? readlinkSync(Buffer.from(this.#placeOf(path), "latin1"), { encoding: "latin1" }) : "",
      major,
      minor,
      // Asked for by whoever sums or copies it, which a known sum spares.
      get attributes() {
        return (known ??= attributes());
      },
      identity: status.links > 1 && type !== "directory" ? status.identity() : undefined,
    };
  }

  /**
   * As Docker's lazy source: the header that the file would have in an archive, and its content. A client's folder has the sums that it would
   * have if the client sent it, whose archives have no bits of the type in the mode.
   */
  #hash(node: TreeNode): string {
    const isContext = this.#options.keepOwners === false;
    const names = isContext ? { user: "", group: "" } : accountNames(node.user, node.group);
    const hash = startSum({
      name: node.type === "directory" ? `${node.path}/` : node.path,
      mode: isContext ? node.mode : TYPE_BITS[node.type] | node.mode,
      user: node.user,
      group: node.group,
      sizeBytes: node.sizeBytes,
      typeFlag: TYPE_FLAGS[node.type],
      linkName: node.target,
      userName: names.user,
      groupName: names.group,
      major: node.type === "character" || node.type === "block" ? node.major : 0,
      minor: node.type === "character" || node.type === "block" ? node.minor : 0,
      attributes: node.attributes,
    });
    if (node.type === "file" && node.sizeBytes > 0) this.#update(hash, node);
    return hash.digest("hex");
  }

  #update(hash: ReturnType<typeof startSum>, node: TreeNode): void {
    const { descriptor } = this.open(node);
    try {
      if (!fstatSync(descriptor).isFile()) throw new EngineError("conflict", `${node.path} changed while it was read`);
      for (let read = readSync(descriptor, BUFFER); read > 0; read = readSync(descriptor, BUFFER)) hash.update(BUFFER.subarray(0, read));
    } finally {
      at.close(descriptor);
    }
  }
}

export interface FolderTreeOptions {
  /** False: everything belongs to root, as a client that sends a context has it. */
  keepOwners?: boolean;
  /** Paths that are not there for the build (.dockerignore). */
  isHidden?: (path: string, isFolder: boolean) => boolean;
  /** Sums of files that have not changed since. */
  statCache?: StatCache;
}

/** The one attribute that archives of clients and layers carry. */
const CAPABILITY = "security.capability";
const NO_ATTRIBUTES: ReadonlyMap<string, Buffer> = new Map();
const BUFFER = Buffer.allocUnsafeSlow(1024 * 1024);
const TYPE_BITS = { file: 0o100000, directory: 0o040000, symlink: 0o120000, character: 0o020000, block: 0o060000, fifo: 0o010000 };
const TYPE_FLAGS = { file: "0", directory: "5", symlink: "2", character: "3", block: "4", fifo: "6" };

import { constants, openSync, readSync, unlinkSync, writeSync } from "node:fs";

import { EngineError, codeOf, messageOf } from "../../../base/errors.ts";
import { close, O_DIRECTORY, O_PATH, openInRoot } from "../../../kernel/openat.ts";
import { decompressed } from "../../../store/unpack/decompress.ts";
import { printable } from "../../../store/unpack/entry-path.ts";
import { LayerWriter, type LayerLimits } from "../../../store/unpack/layer-writer.ts";
import { TarReader, type TarEntry } from "../../../tar/tar-reader.ts";
import { changeMode, type ModeChange } from "./file-mode.ts";
import { FolderTree } from "./folder-tree.ts";
import { excluder, isArchive, type SelectedItem } from "./select.ts";
import { resolveInTree, type Tree, type TreeNode, walkTree } from "./tree.ts";
import { openTree, type TreeSource } from "./tree-source.ts";

/**
 * Carries out a COPY or ADD in a mounted tree, in a child. What is there already is replaced, a folder over a folder merges; the
 * destination's own symlinks are followed as if the tree's root were `/`.
 */
export interface CopyRequest {
  /** Where the tree is mounted. */
  root: string;
  copies: Copy[];
  /** Absolute; ends in `/` when it must be a folder. */
  destination: string;
  /** Of all that is copied. Undefined: what comes from a stage or an image keeps its own, everything else is root's. */
  owner: { user: number; group: number } | undefined;
  mode: ModeChange | undefined;
  /** A name for a file of our own, for an archive that has to be cut out of the context first. */
  spoolPath: string;
  /** The time that folders get which nothing brings; seconds since 1970. */
  nowSeconds: number;
}

export interface Copy {
  source: TreeSource;
  items: SelectedItem[];
  excludes: string[];
  parents: boolean;
  /** Tar archives among the items are unpacked. */
  unpacks: boolean;
}

const LIMITS: LayerLimits = { maxEntries: 4_000_000, maxBytes: 1024 ** 4, maxMemoryBytes: 128 * 1024 ** 2 };
const ROOT = { user: 0, group: 0 };
const BUFFER = Buffer.allocUnsafeSlow(1024 * 1024);

export async function copyFiles(request: CopyRequest, signal: AbortSignal): Promise<void> {
  process.umask(0);
  const root = openSync(request.root, constants.O_RDONLY | constants.O_DIRECTORY);
  const there = new FolderTree(request.root);
  const writer = new LayerWriter(root, LIMITS, { whiteouts: "none" });
  try {
    const destination = resolveDestination(there, request);
    const count = request.copies.reduce((sum, copy) => sum + copy.items.length, 0);
    for (const copy of request.copies) {
      const tree = openTree(copy.source);
      try {
        for (const item of copy.items) {
          signal.throwIfAborted();
          await new ItemCopy(request, copy, tree, there, writer).run(item, destination, count > 1);
        }
      } finally {
        tree.close();
      }
    }
    if (count === 0) makeFolder(request, destination.path, there, writer);
    writer.finish();
  } catch (error) {
    if (signal.aborted) throw signal.reason;
    throw describe(error, writer.current);
  } finally {
    writer.close();
    there.close();
    close(root);
  }
}

interface Destination {
  /** Clean and relative, symlinks followed; a binary string. */
  path: string;
  isFolder: boolean;
}

function resolveDestination(there: FolderTree, { destination }: CopyRequest): Destination {
  const written = Buffer.from(destination, "utf8").toString("latin1");
  const clean = written
    .split("/")
    .filter((part) => part !== "" && part !== ".")
    .join("/");
  const path = resolveInTree(there, clean);
  return { path, isFolder: destination.endsWith("/") || path === "" || there.get(path)?.type === "directory" };
}

/** A folder and those above it, where they are missing: they belong to the new owner, as in Docker. */
function makeFolder(
  { owner, nowSeconds }: CopyRequest,
  folder: string,
  there: FolderTree,
  writer: LayerWriter,
  made = new Set<string>(),
): void {
  const parts = folder === "" ? [] : folder.split("/");
  for (let depth = 1; depth <= parts.length; depth += 1) {
    const path = parts.slice(0, depth).join("/");
    if (made.has(path)) continue;
    const node = there.get(path);
    if (node !== undefined) {
      if (node.type !== "directory")
        throw new EngineError("invalid", `cannot make the folder /${printable(path)}: there is something else`);
      continue;
    }
    made.add(path);
    const { user, group } = owner ?? ROOT;
    writer.begin({ ...folderEntry(path), user, group, modified: { seconds: nowSeconds, nanoseconds: 0 } });
    writer.end();
  }
}

/** One source on its way to its place. */
class ItemCopy {
  readonly #request: CopyRequest;
  readonly #copy: Copy;
  readonly #tree: Tree;
  readonly #there: FolderTree;
  readonly #writer: LayerWriter;
  readonly #isLeftOut: (path: string) => boolean;
  /** Where a file with several names was put first. */
  readonly #placed = new Map<string, string>();

  constructor(request: CopyRequest, copy: Copy, tree: Tree, there: FolderTree, writer: LayerWriter) {
    this.#request = request;
    this.#copy = copy;
    this.#tree = tree;
    this.#there = there;
    this.#writer = writer;
    this.#isLeftOut = excluder(copy.excludes);
  }

  async run(item: SelectedItem, destination: Destination, isOneOfMany: boolean): Promise<void> {
    const node = this.#tree.get(item.isFolder ? item.path : this.#resolved(item.path));
    if (node === undefined) throw new EngineError("conflict", `${printable(item.path)} is gone`);
    if (this.#copy.parents) return this.#runWithParents(item, node, destination);
    if (node.type === "directory") return this.#folder(node, destination.path);
    if (this.#copy.unpacks && isArchive(this.#tree, node)) return this.#unpack(node, destination.path);
    const into = destination.isFolder || isOneOfMany;
    this.#file(node, into ? join(destination.path, nameOf(item.path)) : destination.path);
  }

  #resolved(path: string): string {
    return resolveInTree(this.#tree, path);
  }

  /** `--parents`: the folders between the pivot and the source are made below the destination. */
  #runWithParents(item: SelectedItem, node: TreeNode, destination: Destination): void {
    const kept = item.pivot === "" ? item.path : item.path.slice(item.pivot.length + 1);
    const parts = kept.split("/");
    for (let depth = 1; depth < parts.length; depth += 1) {
      const inner = parts.slice(0, depth).join("/");
      const above = this.#tree.get(join(item.pivot, inner));
      if (above !== undefined) this.#put(above, join(destination.path, inner));
    }
    if (node.type === "directory") this.#folder(node, join(destination.path, kept), kept !== "");
    else this.#file(node, join(destination.path, kept));
  }

  /** The content of a folder; the folder itself is made like any other where it is missing. */
  #folder(folder: TreeNode, destination: string, keepsItself = false): void {
    if (keepsItself) this.#put(folder, destination);
    else this.#makeFolders(destination);
    const prefix = folder.path === "" ? "" : `${folder.path}/`;
    for (const node of walkTree(this.#tree, folder.path)) {
      if (node === folder || node.path === folder.path) continue;
      const inner = node.path.slice(prefix.length);
      if (this.#isLeftOut(inner) || this.#isLeftOut(node.path)) continue;
      this.#put(node, join(destination, inner));
    }
  }

  #file(node: TreeNode, destination: string): void {
    if (this.#isLeftOut(nameOf(node.path)) || this.#isLeftOut(node.path)) return;
    const slash = destination.lastIndexOf("/");
    this.#makeFolders(slash === -1 ? "" : destination.slice(0, slash));
    const there = this.#there.get(destination);
    if (there?.type === "directory" && node.type !== "directory") {
      throw new EngineError("invalid", `cannot copy to /${printable(destination)}: it is a folder`);
    }
    this.#put(node, destination);
  }

  #makeFolders(folder: string): void {
    makeFolder(this.#request, folder, this.#there, this.#writer, this.#made);
  }

  readonly #made = new Set<string>();

  #put(node: TreeNode, destination: string): void {
    const first = node.identity === undefined ? undefined : this.#placed.get(node.identity);
    if (node.identity !== undefined && first === undefined) this.#placed.set(node.identity, destination);
    const { mode } = this.#request;
    // Folders that are contexts show everything as root's.
    const owner = this.#request.owner ?? (this.#copy.source.kind === "folder" ? node : ROOT);
    this.#write(
      {
        ...folderEntry(destination),
        type: first === undefined ? node.type : "hardlink",
        linkName: first ?? node.target,
        mode: mode === undefined || node.type === "symlink" ? node.mode : changeMode(node.mode, mode, node.type === "directory"),
        user: owner.user,
        group: owner.group,
        sizeBytes: first === undefined ? node.sizeBytes : 0,
        modified: node.modified,
        major: node.major,
        minor: node.minor,
        // A file's are known when it is open.
        attributes: new Map(node.type === "file" ? [] : node.attributes),
      },
      first === undefined && node.type === "file" ? node : undefined,
    );
  }

  #write(entry: TarEntry, content?: TreeNode): void {
    this.#writer.begin(entry);
    if (content !== undefined) this.#writeContent(entry, content);
    this.#writer.end();
  }

  #writeContent(entry: TarEntry, node: TreeNode): void {
    const { descriptor, isOwned, segments, attributes } = this.#tree.open(node);
    try {
      for (const [name, value] of attributes) entry.attributes.set(name, value);
      let done = 0;
      for (const { at, offset, length } of segments) {
        if (at > done) this.#writer.hole(at - done);
        for (let read = 0; read < length;) {
          const count = readSync(descriptor, BUFFER, 0, Math.min(BUFFER.length, length - read), offset + read);
          if (count === 0) throw new EngineError("conflict", `${printable(node.path)} became shorter while it was copied`);
          this.#writer.data(BUFFER.subarray(0, count));
          read += count;
        }
        done = at + length;
      }
      if (done < node.sizeBytes) this.#writer.hole(node.sizeBytes - done);
    } finally {
      if (isOwned) close(descriptor);
    }
  }

  /** An archive is unpacked as if the destination were `/`; what is in it keeps its owners, and nobody else is the new one's. */
  async #unpack(node: TreeNode, destination: string): Promise<void> {
    makeFolder({ ...this.#request, owner: ROOT }, destination, this.#there, this.#writer, this.#made);
    const rootFd = openSync(this.#request.root, O_PATH | O_DIRECTORY);
    const descriptor = this.#openWhole(node);
    let folder: number | undefined;
    try {
      folder = openInRoot(rootFd, destination, constants.O_RDONLY | O_DIRECTORY);
      const inner = new LayerWriter(folder, LIMITS, { whiteouts: "none" });
      try {
        const reader = new TarReader(inner);
        for await (const chunk of decompressed(descriptor, () => undefined)) reader.push(chunk);
        reader.finish();
        inner.finish();
      } catch (error) {
        throw describe(error, inner.current);
      } finally {
        inner.close();
      }
    } finally {
      if (folder !== undefined) close(folder);
      close(rootFd);
      close(descriptor);
    }
  }

  /** A descriptor of a file that holds nothing but a node's content. */
  #openWhole(node: TreeNode): number {
    const { descriptor, isOwned, segments } = this.#tree.open(node);
    if (isOwned) return descriptor;
    const spool = openSync(this.#request.spoolPath, "wx+", 0o600);
    unlinkSync(this.#request.spoolPath);
    try {
      for (const { at, offset, length } of segments) {
        for (let done = 0; done < length;) {
          const count = readSync(descriptor, BUFFER, 0, Math.min(BUFFER.length, length - done), offset + done);
          if (count === 0) throw new EngineError("conflict", `${printable(node.path)} became shorter while it was copied`);
          for (let put = 0; put < count;) put += writeSync(spool, BUFFER, put, count - put, at + done + put);
          done += count;
        }
      }
      return spool;
    } catch (error) {
      close(spool);
      throw error;
    }
  }
}

function folderEntry(path: string): TarEntry {
  return {
    type: "directory",
    name: path,
    linkName: "",
    mode: 0o755,
    user: 0,
    group: 0,
    sizeBytes: 0,
    modified: { seconds: 0, nanoseconds: 0 },
    major: 0,
    minor: 0,
    attributes: new Map(),
  };
}

function nameOf(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}

function join(folder: string, name: string): string {
  return folder === "" ? name : name === "" ? folder : `${folder}/${name}`;
}

function describe(error: unknown, entry: string): EngineError {
  const where = entry === "" ? "" : `"${printable(entry)}": `;
  const why = codeOf(error) === "ENOSPC" || codeOf(error) === "EDQUOT" ? "no space left on device" : messageOf(error);
  // It names an entry already: of an archive that is unpacked, or the one that it is about.
  if (error instanceof EngineError && error.message.startsWith('"')) return error;
  return new EngineError(error instanceof EngineError ? error.kind : "system", `${where}${why}`, { cause: error });
}

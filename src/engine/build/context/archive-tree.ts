import { closeSync, openSync } from "node:fs";

import { EngineError } from "../../../base/errors.ts";
import { printable } from "../../../store/unpack/entry-path.ts";
import { type Content, resolveInTree, type Tree, type TreeNode } from "./tree.ts";
import type { IndexEntry } from "./tree-index.ts";

/** A context as it was sent: the archive and its index. Folders that no entry brought are there, too, owned by root with mode 0755. */
export class ArchiveTree implements Tree {
  readonly #archivePath: string;
  readonly #entries: Map<string, IndexEntry | undefined>;
  readonly #names: Map<string, Set<string>>;
  #archive: number | undefined;

  constructor(archivePath: string, entries: IndexEntry[]) {
    this.#archivePath = archivePath;
    ({ entries: this.#entries, names: this.#names } = arrange(entries));
  }

  get(path: string): TreeNode | undefined {
    if (!this.#entries.has(path)) return undefined;
    const entry = this.#entries.get(path);
    if (entry === undefined) return impliedFolder(path);
    const { file, isLinked } = this.#fileOf(entry);
    if (file.type === "hardlink")
      throw new EngineError("invalid", `"${printable(path)}": the file it is a hard link to is not in the context`);
    return {
      path,
      type: file.type,
      mode: file.mode,
      user: file.user,
      group: file.group,
      modified: { seconds: file.seconds, nanoseconds: file.nanoseconds },
      sizeBytes: file.sizeBytes,
      target: file.type === "symlink" ? (file.link ?? "") : "",
      major: file.major ?? 0,
      minor: file.minor ?? 0,
      attributes: new Map((file.attributes ?? []).map(([name, value]) => [name, Buffer.from(value, "base64")])),
      identity: isLinked ? file.path : undefined,
    };
  }

  list(path: string): string[] {
    return [...(this.#names.get(path) ?? [])].sort();
  }

  /** Of what a symlink means, as in Docker; the path itself where nothing is there. */
  sum(path: string): string {
    return this.#entries.get(resolveInTree(this, path))?.sum ?? path;
  }

  open(node: TreeNode): Content {
    const entry = this.#entries.get(node.path);
    const segments = entry === undefined ? [] : (this.#fileOf(entry).file.segments ?? []);
    this.#archive ??= openSync(this.#archivePath, "r");
    return { descriptor: this.#archive, isOwned: false, segments, attributes: node.attributes };
  }

  close(): void {
    if (this.#archive !== undefined) closeSync(this.#archive);
    this.#archive = undefined;
  }

  /** The entry that a hard link names, through others; itself for all else. */
  #fileOf(entry: IndexEntry): { file: IndexEntry; isLinked: boolean } {
    let file = entry;
    for (let links = 0; file.type === "hardlink" && links < MAX_LINKS; links += 1) {
      const next: IndexEntry | undefined = this.#entries.get(file.link ?? "");
      if (next === undefined || next === file) break;
      file = next;
    }
    return { file, isLinked: file !== entry || this.#linked.has(file.path) };
  }

  get #linked(): Set<string> {
    this.#linkedPaths ??= new Set([...this.#entries.values()].flatMap((entry) => (entry?.type === "hardlink" ? [entry.link ?? ""] : [])));
    return this.#linkedPaths;
  }

  #linkedPaths: Set<string> | undefined;
}

/** A chain of hard links to hard links is something nobody makes. */
const MAX_LINKS = 8;

/** Entries and folders' names; an entry below something that is no folder is left out, for it cannot be there. */
function arrange(entries: IndexEntry[]): { entries: Map<string, IndexEntry | undefined>; names: Map<string, Set<string>> } {
  const byPath = new Map<string, IndexEntry | undefined>([["", undefined]]);
  const names = new Map<string, Set<string>>([["", new Set()]]);
  const ensureFolder = (folder: string): Set<string> => {
    const known = names.get(folder);
    if (known !== undefined) return known;
    const made = new Set<string>();
    names.set(folder, made);
    if (!byPath.has(folder)) byPath.set(folder, undefined);
    const slash = folder.lastIndexOf("/");
    ensureFolder(slash === -1 ? "" : folder.slice(0, slash)).add(folder.slice(slash + 1));
    return made;
  };
  for (const entry of entries) {
    byPath.set(entry.path, entry);
    if (entry.path === "") continue;
    const slash = entry.path.lastIndexOf("/");
    ensureFolder(slash === -1 ? "" : entry.path.slice(0, slash)).add(entry.path.slice(slash + 1));
    if (entry.type === "directory") ensureFolder(entry.path);
  }
  return { entries: byPath, names };
}

function impliedFolder(path: string): TreeNode {
  return {
    path,
    type: "directory",
    mode: 0o755,
    user: 0,
    group: 0,
    modified: { seconds: 0, nanoseconds: 0 },
    sizeBytes: 0,
    target: "",
    major: 0,
    minor: 0,
    attributes: new Map(),
    identity: undefined,
  };
}

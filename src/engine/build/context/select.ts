import { readSync } from "node:fs";

import { EngineError } from "../../../base/errors.ts";
import { close } from "../../../kernel/openat.ts";
import { detectCompression } from "../../../store/unpack/decompress.ts";
import { parseTarHeader } from "../../../tar/tar-header.ts";
import { isMatch, isPattern } from "./pattern.ts";
import { joinSums } from "./sums.ts";
import { resolveInTree, type Tree, type TreeNode, walkTree } from "./tree.ts";
import { openTree, type TreeSource } from "./tree-source.ts";

/** What a COPY or ADD names in a tree, found and summed up by Docker's classic rules (moby builder/dockerfile/copy.go). */
export interface SelectRequest {
  source: TreeSource;
  /** As written, variables expanded. */
  paths: string[];
  /** Patterns of what is left out (`--exclude`). */
  excludes: string[];
  /** `--parents`: what lies above a source in the tree is kept. */
  parents: boolean;
}

export interface Selected {
  /** One for each source found: `file:…` or `dir:…`. */
  sums: string[];
  items: SelectedItem[];
}

export interface SelectedItem {
  /** Where it lies in its tree; a binary string. */
  path: string;
  isFolder: boolean;
  /** The folder above it below which `--parents` keeps what lies between: what stood before `/./`; a binary string. */
  pivot: string;
}

export function select(request: SelectRequest): Selected {
  const tree = openTree(request.source);
  try {
    const items = request.paths.flatMap((path) => find(tree, path, request));
    const isLeftOut = excluder(request.excludes);
    return { items, sums: items.map((item) => sumOf(tree, item, isLeftOut)) };
  } finally {
    tree.close();
  }
}

/** True for what `--exclude` leaves out. Paths are binary strings. */
export function excluder(excludes: string[]): (path: string) => boolean {
  if (excludes.length === 0) return () => false;
  const patterns = excludes.map((pattern) => Buffer.from(pattern, "utf8").toString("latin1").replace(/^\//, ""));
  return (path) => {
    const parts = path.split("/");
    return parts.some((_, depth) => patterns.some((pattern) => isMatch(pattern, parts.slice(0, depth + 1).join("/"), true)));
  };
}

function find(tree: Tree, written: string, { parents, source }: SelectRequest): SelectedItem[] {
  const path = cleanSource(written);
  const dot = parents ? written.indexOf("/./") : -1;
  const pivot = dot === -1 ? "" : cleanSource(written.slice(0, dot));
  if (!isPattern(path)) return [itemOf(tree, path, pivot, source)];
  const found: SelectedItem[] = [];
  for (const node of walkTree(tree, "")) {
    if (node.path !== "" && isMatch(path, node.path, parents)) found.push(itemOf(tree, node.path, pivot, source));
  }
  // What lies in a folder that matches comes with the folder.
  return parents ? found.filter(({ path: inner }) => !found.some((outer) => outer.isFolder && inner.startsWith(`${outer.path}/`))) : found;
}

/** Clean and relative; what leads out of the tree is refused, as in Docker's classic builder. */
function cleanSource(written: string): string {
  const parts: string[] = [];
  for (const part of Buffer.from(written, "utf8").toString("latin1").split("/")) {
    if (part === "" || part === ".") continue;
    if (part !== "..") parts.push(part);
    else if (parts.pop() === undefined) throw new EngineError("invalid", `forbidden path outside the build context: ${written} ()`);
  }
  return parts.join("/");
}

/** A source that is a symlink stands for what it leads to. */
function itemOf(tree: Tree, path: string, pivot: string, source: TreeSource): SelectedItem {
  const real = resolveInTree(tree, path);
  const node = tree.get(real);
  const shown = Buffer.from(path, "latin1").toString("utf8");
  if (node?.type === "symlink") throw new EngineError("invalid", `${shown}: its symlinks lead nowhere but to each other`);
  if (node === undefined) {
    const where = source.kind === "folder" && !source.isContext ? "" : "file not found in build context or excluded by .dockerignore: ";
    throw new EngineError("notFound", `${where}stat ${shown}: file does not exist`);
  }
  return { path: node.type === "directory" ? node.path : path, isFolder: node.type === "directory", pivot };
}

function sumOf(tree: Tree, item: SelectedItem, isLeftOut: (path: string) => boolean): string {
  if (!item.isFolder) return `file:${tree.sum(item.path)}`;
  const sums: string[] = [];
  const prefix = item.path === "" ? "" : `${item.path}/`;
  for (const node of walkTree(tree, item.path)) {
    if (node.path === "" || isLeftOut(node.path.slice(prefix.length)) || isLeftOut(node.path)) continue;
    sums.push(tree.sum(node.path));
  }
  return joinSums("dir", sums.sort());
}

/** Whether ADD unpacks a file: a tar archive, compressed or not, by its content. */
export function isArchive(tree: Tree, node: TreeNode): boolean {
  if (node.type !== "file" || node.sizeBytes < 10) return false;
  const { descriptor, isOwned, segments } = tree.open(node);
  try {
    const [first] = segments;
    const start = Buffer.alloc(512);
    const read = first === undefined ? 0 : readSync(descriptor, start, 0, Math.min(512, first.length), first.offset);
    if (detectCompression(start.subarray(0, read)) !== "none") return true;
    return read === 512 && isTarHeader(start);
  } finally {
    if (isOwned) close(descriptor);
  }
}

function isTarHeader(block: Buffer): boolean {
  try {
    return parseTarHeader(block) !== undefined;
  } catch {
    return false;
  }
}

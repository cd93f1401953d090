/**
 * Trees: what COPY and ADD take files from. One interface over an archive that was sent (never extracted: files are read where they lie in
 * it), a folder (a local context, a mounted image), and files written in the Dockerfile. Used in a child process only; names are binary
 * strings (kernel/openat.ts), paths are clean and relative, "" is the tree's root.
 */
export interface Tree {
  /** What is at a path, symlinks in its last part not followed. */
  get(path: string): TreeNode | undefined;
  /** Names in a folder, sorted. */
  list(path: string): string[];
  /** Docker's sum of one entry, as hexadecimal digits (see sums.ts), or its path where it has none. */
  sum(path: string): string;
  /** Where a regular file's content lies. The descriptor is the tree's, or the caller's to close when `owned`. */
  open(node: TreeNode): Content;
  close(): void;
}

export interface TreeNode {
  path: string;
  type: "file" | "directory" | "symlink" | "character" | "block" | "fifo";
  mode: number;
  user: number;
  group: number;
  /** Seconds and nanoseconds since 1970. */
  modified: { seconds: number; nanoseconds: number };
  sizeBytes: number;
  /** A symlink's target, as it stands. */
  target: string;
  major: number;
  minor: number;
  /** Extended attributes by name. */
  attributes: ReadonlyMap<string, Buffer>;
  /** Nodes of one tree with the same value are one file (hard links); undefined for a file with one name. */
  identity: string | undefined;
}

export interface Content {
  descriptor: number;
  isOwned: boolean;
  /** Runs of data in the descriptor, in the file's order; what lies between them are holes. */
  segments: Segment[];
  /** The file's extended attributes, by name. */
  attributes: ReadonlyMap<string, Buffer>;
}

/** `length` bytes of the file from `at` on are in the descriptor from `offset` on. */
export interface Segment {
  at: number;
  offset: number;
  length: number;
}

/** How often a symlink leads on before it counts as a loop (the kernel's limit). */
const MAX_SYMLINKS = 40;

/**
 * Follows symlinks in every part of a path as if the tree's root were `/`. Gives the path that is meant, whether something is there or not.
 */
export function resolveInTree(tree: Tree, path: string): string {
  let links = 0;
  const resolved: string[] = [];
  const rest = path.split("/").toReversed();
  for (let part = rest.pop(); part !== undefined; part = rest.pop()) {
    if (part === "" || part === ".") continue;
    if (part === "..") {
      resolved.pop();
      continue;
    }
    resolved.push(part);
    const node = tree.get(resolved.join("/"));
    if (node?.type !== "symlink") continue;
    links += 1;
    if (links > MAX_SYMLINKS) return resolved.join("/");
    resolved.pop();
    if (node.target.startsWith("/")) resolved.length = 0;
    rest.push(...node.target.split("/").toReversed());
  }
  return resolved.join("/");
}

/** A path and everything below it, a folder before what is in it, names in order; symlinks are not followed. */
export function* walkTree(tree: Tree, path: string): Generator<TreeNode> {
  const node = tree.get(path);
  if (node === undefined) return;
  yield node;
  if (node.type !== "directory") return;
  for (const name of tree.list(path)) yield* walkTree(tree, path === "" ? name : `${path}/${name}`);
}

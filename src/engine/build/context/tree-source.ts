import { ArchiveTree } from "./archive-tree.ts";
import { FolderTree } from "./folder-tree.ts";
import { TextTree } from "./text-tree.ts";
import type { Tree } from "./tree.ts";
import { readIndex } from "./tree-index.ts";

/** How the daemon names a tree to a child. */
export type TreeSource =
  | { kind: "archive"; archivePath: string; indexPath: string }
  /** `isContext`: a client's folder, where owners do not count. */
  | { kind: "folder"; root: string; isContext: boolean }
  /** Files written in the Dockerfile. */
  | { kind: "texts"; files: { name: string; text: string }[] };

export function openTree(source: TreeSource): Tree {
  switch (source.kind) {
    case "archive":
      return new ArchiveTree(source.archivePath, readIndex(source.indexPath));
    case "folder":
      return new FolderTree(source.root, { keepOwners: !source.isContext });
    case "texts":
      return new TextTree(source.files);
  }
}

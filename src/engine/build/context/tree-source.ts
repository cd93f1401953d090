import { IgnoreMatcher } from "../../../base/ignore-file.ts";
import { ArchiveTree } from "./archive-tree.ts";
import { FolderTree } from "./folder-tree.ts";
import { openStatCache } from "./stat-cache.ts";
import { TextTree } from "./text-tree.ts";
import type { Tree } from "./tree.ts";
import { readIndex } from "./tree-index.ts";

/** How the daemon names a tree to a child. */
export type TreeSource =
  /** `hidden`: entries that are sent and not there for the build (a Dockerfile that .dockerignore leaves out). */
  | { kind: "archive"; archivePath: string; indexPath: string; hidden: string[] }
  /** `isContext`: a client's folder, where owners do not count. `ignore`: patterns of what is not there for the build. */
  | { kind: "folder"; root: string; isContext: boolean; ignore?: string[]; statCachePath?: string }
  /** Files written in the Dockerfile. */
  | { kind: "texts"; files: { name: string; text: string }[] };

export function openTree(source: TreeSource): Tree {
  switch (source.kind) {
    case "archive": {
      const hidden = new Set(source.hidden);
      const entries = readIndex(source.indexPath);
      return new ArchiveTree(source.archivePath, hidden.size === 0 ? entries : entries.filter(({ path }) => !hidden.has(path)));
    }
    case "folder":
      return new FolderTree(source.root, {
        keepOwners: !source.isContext,
        ...(source.ignore === undefined || source.ignore.length === 0 ? {} : { isHidden: hider(source.ignore) }),
        ...(source.statCachePath === undefined ? {} : { statCache: openStatCache(source.statCachePath) }),
      });
    case "texts":
      return new TextTree(source.files);
  }
}

/** A folder that is ignored is there as long as something in it may not be. */
function hider(patterns: string[]): (path: string, isFolder: boolean) => boolean {
  const matcher = new IgnoreMatcher(patterns);
  return (path, isFolder) => {
    const text = Buffer.from(path, "latin1").toString("utf8");
    return matcher.isIgnored(text) && !(isFolder && matcher.mayHoldIncluded(text));
  };
}

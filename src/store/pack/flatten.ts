import { mkdirSync } from "node:fs";

import { copyTree } from "./copy-tree.ts";

/** Makes one tree of layers' folders, in a child. */
export interface FlattenRequest {
  /** Is made. */
  tree: string;
  /** A tree to begin with. */
  base: string | undefined;
  /** Folders in overlayfs's format, lowest first. */
  layers: string[];
  /** Files may be shared with where they come from. */
  share: boolean;
}

export async function flatten({ tree, base, layers, share }: FlattenRequest, signal: AbortSignal): Promise<void> {
  mkdirSync(tree, { mode: 0o755 });
  if (base !== undefined) await copyTree({ from: base, to: tree, share, all: true }, signal);
  for (const layer of layers) await copyTree({ from: layer, to: tree, share, all: true, onto: true }, signal);
}

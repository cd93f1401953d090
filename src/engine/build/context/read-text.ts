import { readSync } from "node:fs";

import { EngineError } from "../../../base/errors.ts";
import { close } from "../../../kernel/openat.ts";
import { printable } from "../../../store/unpack/entry-path.ts";
import { openTree, type TreeSource } from "./tree-source.ts";
import { resolveInTree, type Tree, type TreeNode } from "./tree.ts";

/** The longest Dockerfile or .dockerignore that is read. */
export const MAX_TEXT_BYTES = 4 * 1024 * 1024;

/** The texts of several files of a tree; null for each that is not there. Runs in a child. */
export function readTexts({ source, texts }: { source: TreeSource; texts: string[] }): (string | null)[] {
  const tree = openTree(source);
  try {
    return texts.map((path) => readTextOf(tree, path) ?? null);
  } finally {
    tree.close();
  }
}

/** The text of a file of a tree; undefined where there is no such file. */
export function readTextOf(tree: Tree, path: string): string | undefined {
  const node = tree.get(resolveInTree(tree, Buffer.from(path, "utf8").toString("latin1")));
  if (node?.type !== "file") return undefined;
  if (node.sizeBytes > MAX_TEXT_BYTES) {
    throw new EngineError("invalid", `${printable(node.path)} has ${node.sizeBytes} bytes (at most ${MAX_TEXT_BYTES} are read)`);
  }
  return contentOf(tree, node).toString("utf8");
}

function contentOf(tree: Tree, node: TreeNode): Buffer {
  const bytes = Buffer.alloc(node.sizeBytes);
  const { descriptor, isOwned, segments } = tree.open(node);
  try {
    for (const { at, offset, length } of segments) readSync(descriptor, bytes, at, length, offset);
  } finally {
    if (isOwned) close(descriptor);
  }
  return bytes;
}

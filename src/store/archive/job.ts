import { constants, openSync } from "node:fs";
import { Socket } from "node:net";
import { getSystemErrorMessage } from "node:util";

import { EngineError, messageOf } from "../../base/errors.ts";
import { SystemCallError } from "../../kernel/ffi.ts";
import { openMountTree, NoTreeError, type MountTree } from "../../kernel/mount-tree.ts";
import * as at from "../../kernel/openat.ts";
import { JobError } from "../child/serve.ts";

/** Work on a container's tree, in a child. */

export interface TreeRequest {
  tree: MountTree;
  /** In the tree; a binary string. */
  path: string;
}

/** Carries an archive between the daemon and a child: a descriptor of the daemon. */
export interface PipeEnd {
  pid: number;
  descriptor: number;
}

/** The daemon is to look again: what it knew of the container is no longer so. */
export const NO_TREE = "noTree";

export async function withTree<T>(request: MountTree, use: (tree: number) => T | Promise<T>): Promise<T> {
  let tree: number;
  try {
    tree = openMountTree(request);
  } catch (error) {
    if (error instanceof NoTreeError) throw new JobError(error.message, { [NO_TREE]: true });
    throw new EngineError("system", `opening the container's files: ${messageOf(error)}`, { cause: error });
  }
  try {
    return await use(tree);
  } finally {
    at.close(tree);
  }
}

/** Our end of a pipe of the daemon's. */
export function openPipe({ pid, descriptor }: PipeEnd, way: "read" | "write"): Socket {
  const flags = constants.O_NONBLOCK | (way === "read" ? constants.O_RDONLY : constants.O_WRONLY);
  const fd = openSync(`/proc/${pid}/fd/${descriptor}`, flags);
  return new Socket({ fd, readable: way === "read", writable: way === "write" });
}

/** A failure in words for who asked. What we refuse in Docker's words stays as it is. */
export function describe(error: unknown, where: string): EngineError {
  if (error instanceof EngineError) return error.kind === "invalid" ? new EngineError("invalid", `${where}: ${error.message}`) : error;
  const why = error instanceof SystemCallError ? getSystemErrorMessage(-error.errno) : messageOf(error);
  return new EngineError("system", `${where}: ${why}`, { cause: error });
}

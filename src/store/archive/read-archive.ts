import { setImmediate as nextTurn } from "node:timers/promises";
import type { Socket } from "node:net";

import * as at from "../../kernel/openat.ts";
import { packOne } from "../pack/pack-tree.ts";
import { baseName, openPath, statPath, type PathStat } from "./find.ts";
import { describe, openPipe, withTree, type PipeEnd, type TreeRequest } from "./job.ts";

/** `GET` and `HEAD /containers/{id}/archive`: what is at a path of a container's tree, and all of it as a tar. In a child. */
export interface ReadArchiveRequest extends TreeRequest {
  output: PipeEnd;
}

export function statInTree({ tree, path }: TreeRequest): Promise<PathStat> {
  return withTree(tree, (root) => statPath(root, path));
}

/** Says first what it is, then writes it. */
export async function readArchive(request: ReadArchiveRequest, found: (stat: PathStat) => void, signal: AbortSignal): Promise<void> {
  const { path } = request;
  await withTree(request.tree, async (root) => {
    const stat = statPath(root, path);
    const isFolder = stat.type === "directory";
    // Of anything but a folder its own name is the last, and not followed.
    const slash = path.lastIndexOf("/") + 1;
    const folder = openPath(root, isFolder ? path : path.slice(0, slash), at.O_RDONLY | at.O_DIRECTORY);
    // The root itself has no name.
    const name = baseName(path).replace("/", "");
    const leaf = isFolder ? "." : name;
    const output = openPipe(request.output, "write");
    const cancel = (): void => void output.destroy();
    signal.addEventListener("abort", cancel);
    try {
      found(stat);
      for (const piece of packOne(folder, leaf, name)) {
        await write(output, piece);
        await nextTurn();
        signal.throwIfAborted();
      }
      await new Promise<void>((resolve, reject) => output.on("error", reject).end(resolve));
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      throw describe(error, `reading ${path}`);
    } finally {
      signal.removeEventListener("abort", cancel);
      output.destroy();
      at.close(folder);
    }
  });
}

function write(output: Socket, piece: Buffer): Promise<void> {
  return new Promise((resolve, reject) => output.write(piece, (error) => (error ? reject(error) : resolve())));
}

import type { CopyRequest } from "../context/copy-files.ts";
import type { BuildRun, NewLayer } from "./build-run.ts";
import type { FileOperation, Snapshot } from "./operation.ts";
import { ownerOf } from "./owner.ts";

/** Copies files in a layer of its own, in a child. */
export function solveFile(run: BuildRun, operation: FileOperation, base: Snapshot): Promise<NewLayer> {
  const { copies, destination, owner, mode } = operation;
  return run.change(base.layer, async (root) => {
    const request: CopyRequest = {
      root,
      copies,
      destination,
      owner: owner === undefined ? undefined : ownerOf(root, owner),
      mode,
      spoolPath: run.filePath(),
      nowSeconds: Math.trunc(Date.now() / 1000),
    };
    await run.child("copyFiles", request, "copying files");
  });
}

import { createHash } from "node:crypto";
import { setImmediate as nextTurn } from "node:timers/promises";

import { EngineError, codeOf, messageOf } from "../../base/errors.ts";
import * as at from "../../kernel/openat.ts";
import { openOutput } from "./output.ts";
import { packChanges, packTree, type PackCounts, type PackOptions } from "./pack-tree.ts";
import { replayRecipe } from "./recipe.ts";
import { openRoot } from "./walk.ts";

/** Packing, in a child: hashes what a folder's tar is, and writes it where it is wanted. */
export interface PackRequest {
  folder: string;
  options: PackOptions;
  /** The tar that the folder came out of (recipe.ts), if it did. */
  recipe?: string | undefined;
  /** Only what is different from the tree in this folder. */
  since?: string | undefined;
  /** A file to write the tar to; without one it is only hashed. */
  target?: string | undefined;
  gzip?: boolean | undefined;
}

export interface PackResult {
  /** Of the tar. */
  diffId: string;
  /** Of all regular files and symlinks. */
  bytes: number;
  tarBytes: number;
  /** Of the file that was written. */
  digest: string;
  sizeBytes: number;
}

const TURN_MS = 10;

export async function packLayer(request: PackRequest, signal: AbortSignal): Promise<PackResult> {
  const { folder, options, recipe, since, target, gzip = false } = request;
  const root = openRoot(folder);
  const before = since === undefined ? undefined : openRoot(since);
  const output = target === undefined ? undefined : openOutput(target, gzip);
  try {
    const hash = createHash("sha256");
    const counts: PackCounts = { bytes: 0 };
    let tarBytes = 0;
    let turnBegan = performance.now();
    const pieces = before === undefined ? packTree(root, options, counts) : packChanges(root, before, counts);
    for (const piece of recipe === undefined ? pieces : replayRecipe(recipe, root)) {
      hash.update(piece);
      tarBytes += piece.length;
      await output?.write(piece);
      if (performance.now() - turnBegan > TURN_MS) {
        await nextTurn();
        signal.throwIfAborted();
        turnBegan = performance.now();
      }
    }
    const diffId = `sha256:${hash.digest("hex")}`;
    const written = (await output?.finish()) ?? { digest: diffId, sizeBytes: tarBytes };
    return { diffId, bytes: counts.bytes, tarBytes, ...written };
  } catch (error) {
    if (signal.aborted) throw signal.reason;
    const isFull = codeOf(error) === "ENOSPC" || codeOf(error) === "EDQUOT" || /no space left/i.test(messageOf(error));
    const why = isFull ? "no space left on device" : messageOf(error);
    throw new EngineError(error instanceof EngineError ? error.kind : "system", `packing the layer: ${why}`, { cause: error });
  } finally {
    output?.close();
    at.close(root);
    if (before !== undefined) at.close(before);
  }
}

import { createHash } from "node:crypto";
import { closeSync, openSync } from "node:fs";
import { setImmediate as nextTurn } from "node:timers/promises";
import { createGzip, type Gzip } from "node:zlib";

import { EngineError, codeOf, messageOf } from "../../base/errors.ts";
import * as at from "../../kernel/openat.ts";
import { packTree, type PackCounts, type PackOptions } from "./pack-tree.ts";
import { openRoot } from "./walk.ts";

/** Packing, in a child: hashes what a folder's tar is, and writes it where it is wanted. */
export interface PackRequest {
  folder: string;
  options: PackOptions;
  /** A file to write the tar to; without one it is only hashed. */
  target?: string;
  gzip?: boolean;
}

export interface PackResult {
  /** Of the tar. */
  diffId: string;
  /** Of all regular files. */
  bytes: number;
  /** Of the file that was written. */
  digest: string;
  sizeBytes: number;
}

const TURN_MS = 10;

export async function packLayer({ folder, options, target, gzip = false }: PackRequest, signal: AbortSignal): Promise<PackResult> {
  const root = openRoot(folder);
  const output = target === undefined ? undefined : openOutput(target, gzip);
  try {
    const hash = createHash("sha256");
    const counts: PackCounts = { bytes: 0 };
    let turnBegan = performance.now();
    for (const piece of packTree(root, options, counts)) {
      hash.update(piece);
      await output?.write(piece);
      if (performance.now() - turnBegan > TURN_MS) {
        await nextTurn();
        signal.throwIfAborted();
        turnBegan = performance.now();
      }
    }
    const diffId = `sha256:${hash.digest("hex")}`;
    return { diffId, bytes: counts.bytes, ...((await output?.finish()) ?? { digest: diffId, sizeBytes: 0 }) };
  } catch (error) {
    if (signal.aborted) throw signal.reason;
    const why = codeOf(error) === "ENOSPC" || codeOf(error) === "EDQUOT" ? "no space left on device" : messageOf(error);
    throw new EngineError(error instanceof EngineError ? error.kind : "system", `packing the layer: ${why}`, { cause: error });
  } finally {
    output?.close();
    closeSync(root);
  }
}

interface PackOutput {
  write: (piece: Buffer) => Promise<void>;
  finish: () => Promise<{ digest: string; sizeBytes: number }>;
  close: () => void;
}

function openOutput(target: string, isGzip: boolean): PackOutput {
  const fd = openSync(target, "w", 0o600);
  const hash = createHash("sha256");
  let sizeBytes = 0;
  const put = (bytes: Buffer): void => {
    hash.update(bytes);
    at.writeAll(fd, bytes, target);
    sizeBytes += bytes.length;
  };
  const gzip = isGzip ? createGzip({ level: 1 }) : undefined;
  gzip?.on("data", put);
  return {
    write: async (piece) => (gzip === undefined ? put(piece) : pass(gzip, piece)),
    async finish() {
      if (gzip !== undefined) {
        const ended = new Promise((resolve) => gzip.once("end", resolve));
        gzip.end();
        await ended;
      }
      return { digest: `sha256:${hash.digest("hex")}`, sizeBytes };
    },
    close: () => closeSync(fd),
  };
}

/** Resolves when the piece may be overwritten. */
function pass(gzip: Gzip, piece: Buffer): Promise<void> {
  return new Promise((resolve, reject) => gzip.write(piece, (error) => (error ? reject(error) : resolve())));
}

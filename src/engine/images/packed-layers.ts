import { readdir, rename, rm, stat, utimes, writeFile } from "node:fs/promises";
import path from "node:path";

import { codeOf } from "../../base/errors.ts";
import type { ImageEngine } from "./open-images.ts";
import type { BlobToSend } from "./registry/upload.ts";

/**
 * Layers packed for registries: `content/packed/DIFFID.DIGEST`, so that a layer is compressed once, however often it is pushed. A cache:
 * the folder is all there is to it, files go with their layers or when they are too many, and one that turns out damaged is made anew.
 */
export interface PackedLayers {
  /** As it is there; undefined when it is not. */
  find: (diffId: string) => BlobToSend | undefined;
  /**
   * Packs it where it is not there. Whoever asks for the same meanwhile gets the same. `growing` hears of the file that it is packed into:
   * when that has lost its name, it is whole.
   */
  get: (layer: { diffId: string; chainId: string }, signal: AbortSignal, growing?: (path: string) => void) => Promise<BlobToSend>;
  discard: (diffId: string) => Promise<void>;
  /** Deletes the packed forms of layers that are no longer here, and the oldest beyond MAX_PACKED_BYTES. */
  keepOnly: (diffIds: ReadonlySet<string>) => Promise<void>;
  /** Reads what is there. */
  restore: () => Promise<void>;
}

const MAX_PACKED_BYTES = 10 * 1024 ** 3;

type Engine = Pick<ImageEngine, "layers" | "blobs">;

export function openPackedLayers(engine: Engine, folder: string): PackedLayers {
  /** By diffID, the one used last at the end. */
  const known = new Map<string, BlobToSend>();
  const packing = new Map<string, Promise<BlobToSend>>();

  const touch = (diffId: string, packed: BlobToSend): void => {
    known.delete(diffId);
    known.set(diffId, packed);
  };
  const discard = async (diffId: string): Promise<void> => {
    const packed = known.get(diffId);
    known.delete(diffId);
    if (packed !== undefined) await rm(packed.path, { force: true });
  };
  const trim = async (): Promise<void> => {
    let bytes = [...known.values()].reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    for (const [diffId, { sizeBytes }] of [...known].slice(0, -1)) {
      if (bytes <= MAX_PACKED_BYTES) return;
      bytes -= sizeBytes;
      await discard(diffId);
    }
  };
  const pack = async (
    { diffId, chainId }: { diffId: string; chainId: string },
    signal: AbortSignal,
    growing: ((path: string) => void) | undefined,
  ): Promise<BlobToSend> => {
    const temporary = engine.blobs.temporaryPath();
    try {
      await writeFile(temporary, "", { mode: 0o600 });
      growing?.(temporary);
      const { digest, sizeBytes } = await engine.layers.pack(chainId, temporary, { gzip: true }, signal);
      const packed = { digest, sizeBytes, path: path.join(folder, `${hexOf(diffId)}.${hexOf(digest)}`) };
      await rename(temporary, packed.path);
      touch(diffId, packed);
      await trim();
      return packed;
    } finally {
      await rm(temporary, { force: true });
    }
  };

  return {
    find: (diffId) => known.get(diffId),
    async get(layer, signal, growing) {
      for (;;) {
        signal.throwIfAborted();
        const there = known.get(layer.diffId);
        if (there !== undefined && (await isWhole(there))) {
          touch(layer.diffId, there);
          await utimes(there.path, new Date(), new Date());
          return there;
        }
        const others = packing.get(layer.diffId);
        if (others === undefined) {
          const own = pack(layer, signal, growing);
          packing.set(layer.diffId, own);
          return await own.finally(() => packing.delete(layer.diffId));
        }
        // Theirs may be given up: then it is ours to do.
        await others.catch(() => undefined);
      }
    },
    discard,
    async keepOnly(diffIds) {
      for (const diffId of known.keys()) if (!diffIds.has(diffId)) await discard(diffId);
    },
    async restore() {
      const names = (await readdir(folder)).filter((name) => /^[a-f0-9]{64}\.[a-f0-9]{64}$/.test(name));
      const files = await Promise.all(
        names.map(async (name) => {
          const file = path.join(folder, name);
          const { size, mtimeMs } = await stat(file);
          const [diffId = "", digest = ""] = name.split(".");
          return { diffId: `sha256:${diffId}`, packed: { digest: `sha256:${digest}`, sizeBytes: size, path: file }, mtimeMs };
        }),
      );
      for (const { diffId, packed } of files.toSorted((a, b) => a.mtimeMs - b.mtimeMs)) known.set(diffId, packed);
    },
  };
}

async function isWhole({ path: file, sizeBytes }: BlobToSend): Promise<boolean> {
  try {
    return (await stat(file)).size === sizeBytes;
  } catch (error) {
    if (codeOf(error) === "ENOENT") return false;
    throw error;
  }
}

function hexOf(digest: string): string {
  return digest.slice("sha256:".length);
}

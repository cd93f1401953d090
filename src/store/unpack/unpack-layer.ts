import { createHash } from "node:crypto";
import { closeSync, constants, fstatSync, openSync } from "node:fs";
import { setImmediate as nextTurn } from "node:timers/promises";
import { getSystemErrorMessage } from "node:util";

import { EngineError, codeOf, messageOf } from "../../base/errors.ts";
import { SystemCallError } from "../../kernel/ffi.ts";
import { RecipeWriter } from "../pack/recipe.ts";
import { printable } from "./entry-path.ts";
import { LayerWriter, type LayerLimits } from "./layer-writer.ts";
import { decompressed, type FileRange } from "./decompress.ts";
import { TarReader, type TarTape } from "../../tar/tar-reader.ts";

/**
 * Unpacking: one layer's archive, from a file, into an empty private folder. Runs in a child process that may die on what it reads; the
 * caller throws the folder away when this fails. One pass decompresses, hashes and writes. The work is cut into turns, so that the same
 * child hears of a cancel and goes on downloading meanwhile.
 */
export interface UnpackRequest {
  archivePath: string;
  /** The part of the file that is the archive; all of it by default. */
  range?: FileRange | undefined;
  /** What the archive, as it stands in the file, has to be. */
  digest?: string | undefined;
  folder: string;
  /** Where to write how the tar comes back (pack/recipe.ts). */
  recipe: string;
}

export interface UnpackResult {
  /** Digest of the archive, decompressed. */
  diffId: string;
  /** Of all regular files and symlinks. */
  bytes: number;
  /** Of the archive, decompressed. */
  tarBytes: number;
  /** Folders that the layers below have to say more of: see adopt-folders.ts. */
  implied: string[];
}

const LIMITS: LayerLimits = {
  maxEntries: 4_000_000,
  maxBytes: 1024 ** 4,
  maxMemoryBytes: 128 * 1024 ** 2,
};
/** gzip cannot do better than 1,032:1. Layers of little but zeros exist, so only large results are looked at. */
const MAX_RATIO = 1100;
const RATIO_FREE_BYTES = 4 * 1024 ** 3;
const TURN_MS = 10;

export async function unpackLayer(
  request: UnpackRequest,
  progress: (archiveBytes: number) => void,
  signal: AbortSignal,
): Promise<UnpackResult> {
  process.umask(0);
  const archive = openSync(request.archivePath, "r");
  const root = openSync(request.folder, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
  const writer = new LayerWriter(root, LIMITS);
  const recipe = new RecipeWriter(request.recipe);
  try {
    const tar = await unpackInto(writer, recipe, { fd: archive, ...request }, progress, signal);
    return { ...tar, bytes: writer.bytes, implied: writer.implied };
  } catch (error) {
    if (signal.aborted) throw signal.reason;
    throw describe(error, writer.current);
  } finally {
    writer.close();
    recipe.close();
    closeSync(root);
    closeSync(archive);
  }
}

async function unpackInto(
  writer: LayerWriter,
  recipe: RecipeWriter,
  archive: Archive,
  progress: (bytes: number) => void,
  signal: AbortSignal,
): Promise<{ diffId: string; tarBytes: number }> {
  const reader = new TarReader(writer, tapeOf(writer, recipe));
  const hash = createHash("sha256");
  const packedHash = archive.digest === undefined ? undefined : createHash("sha256");
  const read = (bytes: number, piece: Buffer): void => {
    packedHash?.update(piece);
    progress(bytes);
  };
  let tarBytes = 0;
  for await (const chunk of inTurns(archive, read, signal)) {
    tarBytes += chunk.length;
    hash.update(chunk);
    reader.push(chunk);
  }
  const digest = packedHash && `sha256:${packedHash.digest("hex")}`;
  if (digest !== archive.digest) throw new EngineError("invalid", `the archive is not ${archive.digest} but ${digest}`);
  reader.finish();
  writer.finish();
  if (writer.hasReplaced) {
    recipe.restart();
    for await (const chunk of inTurns(archive, () => undefined, signal)) recipe.bytes(chunk);
  }
  recipe.finish();
  return { diffId: `sha256:${hash.digest("hex")}`, tarBytes };
}

interface Archive {
  fd: number;
  range?: FileRange | undefined;
  digest?: string | undefined;
}

/** The archive's content, with a pause every few milliseconds. */
async function* inTurns({ fd, range }: Archive, read: (bytes: number, piece: Buffer) => void, signal: AbortSignal): AsyncGenerator<Buffer> {
  const maxBytes = Math.max(RATIO_FREE_BYTES, (range?.sizeBytes ?? fstatSync(fd).size) * MAX_RATIO);
  let bytes = 0;
  let turnBegan = performance.now();
  for await (const chunk of decompressed(fd, read, range)) {
    bytes += chunk.length;
    if (bytes > maxBytes) throw new EngineError("invalid", `the archive swells to more than ${MAX_RATIO} times its size`);
    yield chunk;
    if (performance.now() - turnBegan > TURN_MS) {
      await nextTurn();
      signal.throwIfAborted();
      turnBegan = performance.now();
    }
  }
}

/** Writes down all but what is in the layer's files. */
function tapeOf(writer: LayerWriter, recipe: RecipeWriter): TarTape {
  let told: string | undefined;
  return {
    bytes(bytes) {
      told = undefined;
      recipe.bytes(bytes);
    },
    content(bytes) {
      const file = writer.writing;
      if (file === undefined) recipe.bytes(bytes);
      else if (told !== file.path) recipe.file((told = file.path), file.sizeBytes);
    },
  };
}

function describe(error: unknown, entry: string): EngineError {
  const where = entry === "" ? "unpacking the layer" : `unpacking the layer, at "${printable(entry)}"`;
  if (codeOf(error) === "ENOSPC" || codeOf(error) === "EDQUOT") {
    return new EngineError("system", `${where}: no space left on device`, { cause: error });
  }
  // The name is in `where` already, as people can read it.
  const why = error instanceof SystemCallError ? getSystemErrorMessage(-error.errno) : messageOf(error);
  const kind = error instanceof EngineError ? error.kind : "system";
  return new EngineError(kind, `${where}: ${why}`, { cause: error });
}

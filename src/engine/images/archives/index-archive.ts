import { closeSync, fstatSync, openSync, readSync, renameSync, writeSync } from "node:fs";
import { setImmediate as nextTurn } from "node:timers/promises";

import { codeOf, EngineError, messageOf } from "../../../base/errors.ts";
import { writeAll } from "../../../kernel/openat.ts";
import { decompressed, detectCompressionOf } from "../../../store/unpack/decompress.ts";
import { parseEntryPath, printable } from "../../../store/unpack/entry-path.ts";
import { TarReader, type ReadEntry, type TarSink, type TarTape } from "../../../tar/tar-reader.ts";

/**
 * Reads an archive of images once, in a child, and says where its files are: nothing is extracted. The list goes to a file, a line of JSON
 * an entry. A compressed archive is written out, and takes the place of the one that was sent.
 */
export interface IndexImagesRequest {
  archivePath: string;
  plainPath: string;
  indexPath: string;
}

/** An entry of the archive; of several with one name the last counts, as when it were extracted. */
export type IndexedEntry = { name: string } & (
  | { type: "file"; offset: number; sizeBytes: number }
  | { type: "symlink" | "hardlink"; target: string }
  | { type: "other" }
);

const MAX_ENTRIES = 100_000;
/** As for a layer: see unpack-layer.ts. */
const MAX_RATIO = 1100;
const RATIO_FREE_BYTES = 4 * 1024 ** 3;
const TURN_MS = 10;
/** A header and what often comes with it. */
const HEADER_READ_BYTES = 8 * 1024;

export async function indexImages({ archivePath, plainPath, indexPath }: IndexImagesRequest, signal: AbortSignal): Promise<void> {
  const archive = openSync(archivePath, "r");
  const index = new ArchiveIndex();
  let plain: number | undefined;
  try {
    if (detectCompressionOf(archive) === "none") await readHeaders(archive, index, signal);
    else {
      plain = openSync(plainPath, "wx", 0o600);
      await readAll(archive, plain, index, signal);
    }
    index.write(indexPath);
    if (plain !== undefined) renameSync(plainPath, archivePath);
  } catch (error) {
    if (signal.aborted) throw signal.reason;
    const where = index.current === "" ? "reading the archive" : `reading the archive, at "${printable(index.current)}"`;
    if (codeOf(error) === "ENOSPC" || codeOf(error) === "EDQUOT") throw new EngineError("system", `${where}: no space left on device`);
    throw new EngineError(error instanceof EngineError ? error.kind : "system", `${where}: ${messageOf(error)}`, { cause: error });
  } finally {
    closeSync(archive);
    if (plain !== undefined) closeSync(plain);
  }
}

/** Reads a plain archive, but not the content of its files. */
async function readHeaders(archive: number, index: ArchiveIndex, signal: AbortSignal): Promise<void> {
  const reader = new TarReader(index, index);
  const buffer = Buffer.allocUnsafe(HEADER_READ_BYTES);
  let turnBegan = performance.now();
  for (;;) {
    const bytes = readSync(archive, buffer, 0, buffer.length, index.position);
    if (bytes === 0) break;
    reader.push(buffer.subarray(0, bytes));
    // The last byte is read, so that an archive that ends too early is found out.
    const skipped = reader.contentAhead - 1;
    if (skipped > 0) {
      reader.skipContent(skipped);
      index.skip(skipped);
    }
    if (performance.now() - turnBegan > TURN_MS) {
      await nextTurn();
      signal.throwIfAborted();
      turnBegan = performance.now();
    }
  }
  reader.finish();
}

async function readAll(archive: number, plain: number, index: ArchiveIndex, signal: AbortSignal): Promise<void> {
  const maxBytes = Math.max(RATIO_FREE_BYTES, fstatSync(archive).size * MAX_RATIO);
  const reader = new TarReader(index, index);
  let turnBegan = performance.now();
  for await (const chunk of decompressed(archive, () => undefined)) {
    writeAll(plain, chunk, "the archive");
    reader.push(chunk);
    if (index.position > maxBytes) throw new EngineError("invalid", `the archive swells to more than ${MAX_RATIO} times its size`);
    if (performance.now() - turnBegan > TURN_MS) {
      await nextTurn();
      signal.throwIfAborted();
      turnBegan = performance.now();
    }
  }
  reader.finish();
}

class ArchiveIndex implements TarSink, TarTape {
  readonly #entries = new Map<string, IndexedEntry>();
  /** The file whose content has not begun. */
  #begun: Extract<IndexedEntry, { type: "file" }> | undefined;
  /** Bytes of the archive so far. */
  position = 0;
  /** The entry that was begun last, for messages. */
  current = "";

  begin(entry: ReadEntry): void {
    this.current = entry.name;
    const name = pathOf(entry.name);
    const indexed = indexedEntry(name, entry);
    this.#begun = indexed.type === "file" ? indexed : undefined;
    this.#entries.set(name, indexed);
    if (this.#entries.size > MAX_ENTRIES) throw new EngineError("invalid", `it has more than ${MAX_ENTRIES} files`);
  }

  content(bytes: Buffer): void {
    this.skip(bytes.length);
  }

  /** Goes on behind so much of what may be a file's content. */
  skip(bytes: number): void {
    if (this.#begun !== undefined) this.#begun.offset = this.position;
    this.#begun = undefined;
    this.position += bytes;
  }

  bytes(bytes: Buffer): void {
    this.position += bytes.length;
  }

  data(): void {}

  /** A sparse file is not in one piece. */
  hole(): void {
    throw new EngineError("invalid", "it is a sparse file, which no archive of images has");
  }

  end(): void {
    this.#begun = undefined;
  }

  write(path: string): void {
    const fd = openSync(path, "wx", 0o600);
    try {
      for (const entry of this.#entries.values()) writeSync(fd, `${JSON.stringify(entry)}\n`);
    } finally {
      closeSync(fd);
    }
  }
}

function indexedEntry(name: string, entry: ReadEntry): IndexedEntry {
  switch (entry.type) {
    case "file":
      return { name, type: "file", offset: 0, sizeBytes: entry.sizeBytes };
    case "symlink":
      return { name, type: "symlink", target: textOf(entry.linkName) };
    case "hardlink":
      return { name, type: "hardlink", target: pathOf(entry.linkName) };
    default:
      return { name, type: "other" };
  }
}

function pathOf(name: string): string {
  const { folder, name: leaf } = parseEntryPath(name);
  return textOf(folder === "" ? leaf : `${folder}/${leaf}`);
}

/** From a binary string. */
function textOf(name: string): string {
  return Buffer.from(name, "latin1").toString("utf8");
}

import { closeSync, fstatSync, openSync, renameSync, statSync, writeFileSync, writeSync } from "node:fs";
import type { Hash } from "node:crypto";
import { setImmediate as nextTurn } from "node:timers/promises";

import { EngineError, codeOf, messageOf } from "../../../base/errors.ts";
import { decompressed, detectCompressionOf } from "../../../store/unpack/decompress.ts";
import { parseEntryPath, printable } from "../../../store/unpack/entry-path.ts";
import { TarReader, type ReadEntry, type TarSink } from "../../../tar/tar-reader.ts";
import { ArchiveTree } from "./archive-tree.ts";
import { remember, type IndexEntry } from "./tree-index.ts";
import { readTextOf } from "./read-text.ts";
import { startSum } from "./sums.ts";

/**
 * Reads a context's archive once: every entry is hashed, nothing is extracted, and what is where is written beside it. A compressed archive
 * is written out, for files are read from it by their place. Runs in a child process, on bytes that nobody vouches for.
 */
export interface IndexRequest {
  archivePath: string;
  /** Where the archive goes when it is compressed; it then takes the place of `archivePath`. */
  plainPath: string;
  indexPath: string;
  /** Files whose text is wanted with the answer: the Dockerfile, .dockerignore. */
  texts: string[];
}

export interface IndexResult {
  entries: number;
  bytes: number;
  /** In the order asked for; null where there is no such file. */
  texts: (string | null)[];
}

/** As for a layer: see unpack-layer.ts. */
const MAX_ENTRIES = 2_000_000;
const MAX_BYTES = 256 * 1024 ** 3;
const MAX_RATIO = 1100;
const RATIO_FREE_BYTES = 4 * 1024 ** 3;
const TURN_MS = 10;

export async function indexArchive(request: IndexRequest, signal: AbortSignal): Promise<IndexResult> {
  const archive = openSync(request.archivePath, "r");
  const sink = new IndexSink();
  let plain: number | undefined;
  try {
    if (detectCompressionOf(archive) !== "none") plain = openSync(request.plainPath, "wx", 0o600);
    await readInto(sink, archive, plain, signal);
  } catch (error) {
    if (signal.aborted) throw signal.reason;
    throw describe(error, sink.current);
  } finally {
    closeSync(archive);
    if (plain !== undefined) closeSync(plain);
  }
  if (plain !== undefined) renameSync(request.plainPath, request.archivePath);
  const entries = sink.entries();
  writeFileSync(request.indexPath, JSON.stringify(entries), { flag: "wx", mode: 0o600 });
  remember(request.indexPath, statSync(request.indexPath).mtimeMs, entries);
  const tree = new ArchiveTree(request.archivePath, entries);
  try {
    return { entries: entries.length, bytes: sink.bytes, texts: request.texts.map((path) => readTextOf(tree, path) ?? null) };
  } finally {
    tree.close();
  }
}

async function readInto(sink: IndexSink, archive: number, plain: number | undefined, signal: AbortSignal): Promise<void> {
  const maxBytes = Math.min(MAX_BYTES, Math.max(RATIO_FREE_BYTES, fstatSync(archive).size * MAX_RATIO));
  const reader = new TarReader(sink);
  let turnBegan = performance.now();
  for await (const chunk of decompressed(archive, () => undefined)) {
    if (sink.chunkAt + chunk.length > maxBytes) throw new EngineError("invalid", `the archive swells to more than ${maxBytes} bytes`);
    if (plain !== undefined) for (let at = 0; at < chunk.length;) at += writeSync(plain, chunk, at);
    sink.chunk = chunk;
    reader.push(chunk);
    sink.chunkAt += chunk.length;
    if (performance.now() - turnBegan > TURN_MS) {
      await nextTurn();
      signal.throwIfAborted();
      turnBegan = performance.now();
    }
  }
  reader.finish();
}

class IndexSink implements TarSink {
  readonly #entries = new Map<string, IndexEntry>();
  #open: { entry: IndexEntry; hash: Hash; at: number } | undefined;
  /** The chunk that is being read, and where in the archive it begins. */
  chunk: Buffer = Buffer.alloc(0);
  chunkAt = 0;
  bytes = 0;
  current = "";

  begin(entry: ReadEntry): void {
    this.current = entry.name;
    if (this.#entries.size >= MAX_ENTRIES) throw new EngineError("invalid", `it has more than ${MAX_ENTRIES} entries`);
    const { folder, name } = parseEntryPath(entry.name);
    const path = folder === "" ? name : `${folder}/${name}`;
    const link = linkOf(entry);
    const { header } = entry;
    const hash = startSum({ ...header, mode: header.rawMode, sizeBytes: entry.sizeBytes, attributes: entry.attributes });
    const indexed: IndexEntry = {
      path,
      type: entry.type,
      mode: entry.mode,
      user: entry.user,
      group: entry.group,
      seconds: entry.modified.seconds,
      nanoseconds: entry.modified.nanoseconds,
      sizeBytes: entry.sizeBytes,
      sum: "",
      ...(link === undefined ? {} : { link }),
      ...(entry.type === "character" || entry.type === "block" ? { major: entry.major, minor: entry.minor } : {}),
      ...(entry.attributes.size === 0
        ? {}
        : { attributes: [...entry.attributes].map(([key, value]): [string, string] => [key, value.toString("base64")]) }),
      ...(entry.type === "file" && entry.sizeBytes > 0 ? { segments: [] } : {}),
    };
    // What a later entry replaces is gone with all below it, unless a folder comes over a folder.
    this.#entries.delete(path);
    this.#entries.set(path, indexed);
    this.#open = { entry: indexed, hash, at: 0 };
    this.bytes += entry.sizeBytes;
  }

  data(bytes: Buffer): void {
    if (this.#open === undefined) return;
    const { entry, hash, at } = this.#open;
    hash.update(bytes);
    const offset = this.chunkAt + (bytes.byteOffset - this.chunk.byteOffset);
    const segments = (entry.segments ??= []);
    const last = segments.at(-1);
    if (last !== undefined && last.at + last.length === at && last.offset + last.length === offset) last.length += bytes.length;
    else segments.push({ at, offset, length: bytes.length });
    this.#open.at += bytes.length;
  }

  hole(bytes: number): void {
    if (this.#open === undefined) return;
    for (let left = bytes; left > 0; left -= ZEROS.length) this.#open.hash.update(ZEROS.subarray(0, Math.min(left, ZEROS.length)));
    this.#open.at += bytes;
  }

  end(): void {
    if (this.#open === undefined) return;
    this.#open.entry.sum = this.#open.hash.digest("hex");
    this.#open = undefined;
  }

  entries(): IndexEntry[] {
    return [...this.#entries.values()];
  }
}

const ZEROS = Buffer.alloc(64 * 1024);

function linkOf(entry: ReadEntry): string | undefined {
  if (entry.type === "symlink") return entry.linkName;
  if (entry.type !== "hardlink") return undefined;
  const { folder, name } = parseEntryPath(entry.linkName);
  return folder === "" ? name : `${folder}/${name}`;
}

function describe(error: unknown, entry: string): EngineError {
  const where = entry === "" ? "reading the build context" : `reading the build context, at "${printable(entry)}"`;
  if (codeOf(error) === "ENOSPC" || codeOf(error) === "EDQUOT") return new EngineError("system", `${where}: no space left on device`);
  return new EngineError(error instanceof EngineError ? error.kind : "system", `${where}: ${messageOf(error)}`, { cause: error });
}

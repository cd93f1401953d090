import { open, rm, type FileHandle } from "node:fs/promises";
import path from "node:path";

import { EngineError } from "../../../base/errors.ts";
import { digestOf } from "../../../store/blobs.ts";
import type { ChildPool } from "../../../store/child/pool.ts";
import type { IndexedEntry, IndexImagesRequest } from "./index-archive.ts";

/** An archive of images as it was sent: one file, in which other files have their places. */
export interface ImageArchive extends AsyncDisposable {
  readonly path: string;
  /** Every name that is there, symlinks unresolved. */
  names(): Iterable<string>;
  /** Where a file is, symlinks followed within the archive; undefined when there is none. */
  find(name: string): ArchivedFile | undefined;
  /** The content of a document; `invalid` when it is not there or too large. */
  read(name: string): Promise<Buffer>;
}

export interface ArchivedFile {
  offset: number;
  sizeBytes: number;
}

/** Of a manifest, config or index. */
const MAX_DOCUMENT_BYTES = 4 * 1024 * 1024;
const MAX_LINKS = 40;

export async function openImageArchive(
  children: ChildPool,
  archivePath: string,
  temporaryPath: () => string,
  signal: AbortSignal,
): Promise<ImageArchive> {
  const payload: IndexImagesRequest = { archivePath, plainPath: temporaryPath(), indexPath: temporaryPath() };
  let entries: Map<string, IndexedEntry>;
  try {
    await children.run({ kind: "indexImages", payload, what: "reading the archive", heavy: false }, signal);
    entries = await readIndex(payload.indexPath);
  } finally {
    for (const temporary of [payload.plainPath, payload.indexPath]) await rm(temporary, { force: true });
  }
  const file = await open(archivePath);
  const find = (name: string): ArchivedFile | undefined => findFile(entries, name);
  return {
    path: archivePath,
    names: () => entries.keys(),
    find,
    async read(name) {
      const found = find(name);
      if (found === undefined) throw new EngineError("invalid", `the archive has no file ${JSON.stringify(name)}`);
      return readRange(file, found, name);
    },
    [Symbol.asyncDispose]: () => file.close(),
  };
}

/** A blob of an OCI layout, which has to be what its name says. */
export async function readBlob(archive: ImageArchive, digest: string): Promise<Buffer> {
  const bytes = await archive.read(`blobs/${digest.replace(":", "/")}`);
  if (digestOf(bytes) !== digest) throw new EngineError("invalid", `the archive's blob ${digest} is not what its name says`);
  return bytes;
}

async function readIndex(indexPath: string): Promise<Map<string, IndexedEntry>> {
  const entries = new Map<string, IndexedEntry>();
  await using file = await open(indexPath);
  for await (const line of file.readLines()) {
    // Written by indexImages of the same build.
    const entry = JSON.parse(line) as IndexedEntry;
    entries.set(entry.name, entry);
  }
  return entries;
}

async function readRange(file: FileHandle, { offset, sizeBytes }: ArchivedFile, name: string): Promise<Buffer> {
  if (sizeBytes > MAX_DOCUMENT_BYTES) {
    throw new EngineError("invalid", `${JSON.stringify(name)} in the archive has ${sizeBytes} bytes (at most ${MAX_DOCUMENT_BYTES})`);
  }
  const buffer = Buffer.alloc(sizeBytes);
  const { bytesRead } = await file.read(buffer, 0, sizeBytes, offset);
  return buffer.subarray(0, bytesRead);
}

/** As the kernel would in a folder that is its own root. */
function findFile(entries: ReadonlyMap<string, IndexedEntry>, name: string): ArchivedFile | undefined {
  let rest = name.split("/");
  let folder = "";
  for (let links = 0; links < MAX_LINKS;) {
    const [part, ...others] = rest;
    if (part === undefined) return undefined;
    const here = path.posix.join("/", folder, part).slice(1);
    const entry = entries.get(here);
    rest = others;
    if (entry?.type === "symlink" || entry?.type === "hardlink") {
      links += 1;
      rest = [...entry.target.split("/"), ...others];
      if (entry.type === "hardlink" || entry.target.startsWith("/")) folder = "";
    } else if (others.length === 0) return entry?.type === "file" ? entry : undefined;
    else folder = here;
  }
  return undefined;
}

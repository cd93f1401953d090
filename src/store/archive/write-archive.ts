import path from "node:path";

import { EngineError, codeOf } from "../../base/errors.ts";
import { statusAt } from "../../kernel/file-status.ts";
import * as at from "../../kernel/openat.ts";
import { TarReader, type ReadEntry, type TarSink } from "../../tar/tar-reader.ts";
import { decompressedStream } from "../unpack/decompress.ts";
import { parseEntryPath, printable, type EntryPath } from "../unpack/entry-path.ts";
import { LayerWriter, type LayerLimits } from "../unpack/layer-writer.ts";
import { openPath, placeOf, textOf } from "./find.ts";
import { describe, openPipe, withTree, type PipeEnd, type TreeRequest } from "./job.ts";

/** `PUT /containers/{id}/archive`: unpacks an archive in a folder of a container's tree. In a child, which may die of what it reads. */
export interface WriteArchiveRequest extends TreeRequest {
  input: PipeEnd;
  /** A folder takes no file's place, nor a file a folder's. */
  keepKinds: boolean;
  /** Everything is made theirs. */
  owner?: { user: number; group: number } | undefined;
  /** What of the tree cannot be changed: mounted folders, and the root file system. */
  mounts: { target: string; readOnly: boolean }[];
  readOnlyRoot: boolean;
}

const LIMITS: LayerLimits = { maxEntries: 4_000_000, maxBytes: 1024 ** 4, maxMemoryBytes: 128 * 1024 ** 2 };

/** Says when it is ready to read. */
export async function writeArchive(request: WriteArchiveRequest, ready: (value: true) => void, signal: AbortSignal): Promise<void> {
  await withTree(request.tree, async (root) => {
    const place = findFolder(root, request);
    process.umask(0);
    const writer = new LayerWriter(root, LIMITS, { whiteouts: "none" });
    const unpacking = new Extraction(root, place, writer, request);
    const input = openPipe(request.input, "read");
    const cancel = (): void => void input.destroy(new Error("canceled"));
    signal.addEventListener("abort", cancel);
    try {
      ready(true);
      const reader = new TarReader(unpacking);
      for await (const chunk of decompressedStream(input)) reader.push(chunk);
      reader.finish();
      writer.finish();
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      throw describe(error, unpacking.current === "" ? "reading the archive" : `unpacking "${printable(unpacking.current)}"`);
    } finally {
      signal.removeEventListener("abort", cancel);
      input.destroy();
      writer.close();
    }
  });
}

/** The folder to unpack in, by its own name in the tree; checked as Docker does. */
function findFolder(root: number, request: WriteArchiveRequest): string {
  const { mounts, readOnlyRoot } = request;
  const fd = openPath(root, request.path, at.O_PATH);
  try {
    if (statusAt(fd, "")?.type !== "directory") throw new EngineError("invalid", "extraction point is not a directory");
    const place = placeOf(fd);
    const above = mounts.find(({ target }) => place === target || place.startsWith(`${target}/`));
    if (above?.readOnly === true) throw new EngineError("invalid", "mounted volume is marked read-only");
    if (above === undefined && readOnlyRoot) throw new EngineError("invalid", "container rootfs is marked read-only");
    return place;
  } finally {
    at.close(fd);
  }
}

/** Names of entries are below the folder, what they lead to is in the whole tree. */
class Extraction implements TarSink {
  readonly #root: number;
  readonly #place: string;
  readonly #writer: LayerWriter;
  readonly #options: Pick<WriteArchiveRequest, "keepKinds" | "owner">;
  #current = "";

  constructor(root: number, place: string, writer: LayerWriter, options: Pick<WriteArchiveRequest, "keepKinds" | "owner">) {
    this.#root = root;
    this.#place = place;
    this.#writer = writer;
    this.#options = options;
  }

  /** The entry that was begun last, for messages. */
  get current(): string {
    return this.#current;
  }

  begin(entry: ReadEntry): void {
    this.#current = entry.name;
    const name = this.#below(entry.name);
    // The folder itself is somebody's already.
    if (name === this.#below(".")) return;
    const { keepKinds, owner } = this.#options;
    if (keepKinds) this.#checkKind(parseEntryPath(name), entry.type === "directory");
    const linkName = entry.type === "hardlink" ? this.#below(entry.linkName) : entry.linkName;
    this.#writer.begin({ ...entry, ...owner, name, linkName });
  }

  data(bytes: Buffer): void {
    this.#writer.data(bytes);
  }

  hole(bytes: number): void {
    this.#writer.hole(bytes);
  }

  end(): void {
    this.#writer.end();
  }

  /** By its letters, like all names in archives. */
  #below(name: string): string {
    if (/^\.\.(?:\/|$)/.test(path.posix.normalize(name)))
      throw new EngineError("system", `"${printable(name)}" is outside of "${textOf(this.#place)}"`);
    return path.posix.join(this.#place, `/${name}`).replace(/^\/|\/$/g, "");
  }

  #checkKind({ folder, name }: EntryPath, isFolder: boolean): void {
    let fd: number;
    try {
      fd = at.openInRoot(this.#root, folder, at.O_PATH | at.O_DIRECTORY);
    } catch (error) {
      if (codeOf(error) === "ENOENT") return;
      throw error;
    }
    try {
      const there = statusAt(fd, name);
      if (there === undefined || (there.type === "directory") === isFolder) return;
      const [old, next] = isFolder ? ["non-directory", "directory"] : ["directory", "non-directory"];
      const where = textOf(`/${folder}/${name}`.replace("//", "/"));
      throw new EngineError("system", `cannot overwrite ${old} "${where}" with ${next} "${textOf(this.#place)}"`);
    } finally {
      at.close(fd);
    }
  }
}

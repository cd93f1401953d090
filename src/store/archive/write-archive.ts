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
    const input = openPipe(request.input, "read");
    const cancel = (): void => void input.destroy(new Error("canceled"));
    signal.addEventListener("abort", cancel);
    try {
      ready(true);
      const reader = new TarReader(new Extraction(root, place, writer, request));
      for await (const chunk of decompressedStream(input)) reader.push(chunk);
      reader.finish();
      writer.finish();
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      throw describe(error, writer.current === "" ? "reading the archive" : `unpacking "${printable(writer.current)}"`);
    } finally {
      signal.removeEventListener("abort", cancel);
      input.destroy();
      writer.close();
    }
  });
}

/** The folder to unpack in, by its own name in the tree; checked as Docker does. */
function findFolder(root: number, { path, mounts, readOnlyRoot }: WriteArchiveRequest): string {
  const fd = openPath(root, path, at.O_PATH);
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

  constructor(root: number, place: string, writer: LayerWriter, options: Pick<WriteArchiveRequest, "keepKinds" | "owner">) {
    this.#root = root;
    this.#place = place;
    this.#writer = writer;
    this.#options = options;
  }

  begin(entry: ReadEntry): void {
    const path = parseEntryPath(entry.name);
    // The folder itself is somebody's already.
    if (path.name === "") return;
    const name = this.#below(path);
    const { keepKinds, owner } = this.#options;
    if (keepKinds) this.#checkKind(parseEntryPath(name), entry.type === "directory");
    const linkName = entry.type === "hardlink" ? this.#below(parseEntryPath(entry.linkName)) : entry.linkName;
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

  #below({ folder, name }: EntryPath): string {
    return [this.#place.slice(1), folder, name].filter((part) => part !== "").join("/");
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
      const path = textOf(`/${folder}/${name}`.replace("//", "/"));
      throw new EngineError("system", `cannot overwrite ${old} "${path}" with ${next} "${textOf(this.#place)}"`);
    } finally {
      at.close(fd);
    }
  }
}

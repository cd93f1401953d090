import { randomBytes } from "node:crypto";
import { mkdir, readdir, rmdir } from "node:fs/promises";
import { existsSync } from "node:fs";
import path from "node:path";

import { EngineError } from "../base/errors.ts";
import { failpoint } from "../base/failpoint.ts";
import { shortId } from "../base/ids.ts";
import { KeyedLock } from "../base/locks.ts";
import type { Log } from "../base/log.ts";
import { retry } from "../base/retry.ts";
import { together } from "../base/together.ts";
import { Undo } from "../base/undo.ts";
import { setTopDirectoryFlag, syncFileSystem } from "../kernel/file-attributes.ts";
import type { ChildPool } from "./child/pool.ts";
import type { Database } from "./database.ts";
import { changesIn, makeLike, packFolder } from "./folder-work.ts";
import { groupedCalls } from "./grouped-calls.ts";
import { LayerTable } from "./layer-table.ts";
import type { FinishedLayer, LayerChange, LayerContent, LayerDriver, LayerParent, PackedLayer, StagedLayer } from "./layers.ts";
import { ensureMountPoints } from "./mount-points.ts";
import { StagedFolder, recipeIn, type StagingPlace } from "./staged-folder.ts";
import type { PackRequest } from "./pack/pack-job.ts";
import type { Mounting } from "./mounting.ts";
import { paths, type Roots } from "./roots.ts";
import { openTrash } from "./trash.ts";
import { measureTree } from "./tree-size.ts";

/** A removed layer's folder that cannot be moved away now; the next start would. */
const DISCARD_PAUSES_MS = [100];

export interface DriverOptions {
  database: Database;
  roots: Roots;
  log: Log;
  children: ChildPool;
}

/**
 * Layers as folders. A layer is `layers/RANDOM/diff`, in overlayfs's format (whiteouts are character devices 0:0, an opaque directory carries
 * `trusted.overlay.opaque`), filled where it stays: its row in the database is what makes it exist, so no rename is needed, and start-up
 * throws away every folder without a row. The random names and the TOPDIR flag on `layers/` keep ext4 from slowing down to a tenth after
 * deletions. A writable layer is `containers/ID/rw`: `diff` and `work`. How folders are shown as one tree is the mounting's matter.
 *
 * The kernel accepts two overlays over one upper folder and then corrupts it; `#mounted` is the guard.
 */
export async function openFolderDriver(mounting: Mounting, options: DriverOptions): Promise<LayerDriver> {
  const { roots, log } = options;
  const driver = new FolderDriver(mounting, options);
  if (!setTopDirectoryFlag(paths.layers(roots))) log.debug("the data root's file system has no TOPDIR flag");
  await driver.sweep();
  return driver;
}

class FolderDriver implements LayerDriver {
  readonly #mounting: Mounting;
  readonly #roots: Roots;
  readonly #log: Log;
  readonly #children: ChildPool;
  readonly #table: LayerTable;
  readonly #trash;
  readonly #sync;
  readonly #locks = new KeyedLock();
  /** Upper folder → where it is mounted, as far as we know. */
  readonly #mounted = new Map<string, string>();
  readonly #staging = new Set<StagedFolder>();
  readonly #place: StagingPlace;

  constructor(mounting: Mounting, options: DriverOptions) {
    this.#mounting = mounting;
    this.#roots = options.roots;
    this.#log = options.log;
    this.#children = options.children;
    this.#table = new LayerTable(options.database);
    this.#trash = openTrash(paths.layersTrash(options.roots), (error) => options.log.warn({ err: error }, "emptying the layers' trash"));
    this.#sync = groupedCalls(() => syncFileSystem(paths.layers(options.roots)));
    this.#place = {
      children: options.children,
      mount: (layer, target, mountPoints) => this.#mountStaged(layer, target, mountPoints),
      complete: (folder, below, signal) => mounting.complete(folder, below, signal),
      abandon: async (layer) => {
        if (this.#staging.delete(layer)) await this.#trash.discard(layer.home);
      },
    };
  }

  get name(): string {
    return this.#mounting.name;
  }

  /** Throws away what an earlier daemon left half done: mounts for building, and folders that no row names. */
  async sweep(): Promise<void> {
    const [layers, containers] = [paths.layers(this.#roots), paths.containers(this.#roots)];
    for (const { folder, target } of this.#mounting.found()) {
      const isContainers = folder.startsWith(`${containers}/`);
      // One that lies there, too, is an export's.
      if (isContainers && !target.startsWith(`${containers}/`)) this.#mounted.set(folder, target);
      else if (isContainers || folder.startsWith(`${layers}/`)) await this.#mounting.unmount(target);
    }
    const known = this.#table.folders();
    for (const name of await readdir(layers)) {
      if (!known.has(name)) await this.#trash.discard(path.join(layers, name));
    }
  }

  has(chainId: string): boolean {
    return this.#table.find(chainId) !== undefined;
  }

  describe(chainId: string): ({ parent: string | undefined } & LayerContent) | undefined {
    const row = this.#table.find(chainId);
    return row && { parent: row.parent, diffId: row.diffId, bytes: row.bytes, tarBytes: row.tarBytes };
  }

  list(): string[] {
    return this.#table.chainIds();
  }

  isBeingFilled(folderName: string): boolean {
    return [...this.#staging].some(({ name }) => name === folderName);
  }

  stage(parent: LayerParent): Promise<StagedLayer> {
    return this.#stage(parent);
  }

  async #stage(parent: LayerParent): Promise<StagedFolder> {
    const home = path.join(paths.layers(this.#roots), randomBytes(10).toString("hex"));
    const layer = new StagedFolder(home, this.#below(parent), this.#place);
    this.#staging.add(layer);
    await mkdir(home, { mode: 0o700 });
    await makeLike(layer.folder, layer.below[0]);
    return layer;
  }

  async stageCopyOfWritable(containerId: string, { frozen }: { frozen: boolean }, signal?: AbortSignal): Promise<StagedLayer> {
    const { upper, parent } = await this.#collected(containerId, signal);
    await using undo = new Undo((message) => this.#log.warn(message));
    const layer = await this.#stage(parent);
    undo.defer("throwing the copy away", () => layer.abort());
    await layer.copyFrom(upper, frozen, signal);
    failpoint("layers.copy.copied");
    undo.keep();
    return layer;
  }

  async stageSame(content: LayerParent, parent: LayerParent, signal?: AbortSignal): Promise<StagedLayer> {
    const [folder] = this.#below(content);
    const layer = await this.#stage(parent);
    if (folder === undefined) return layer;
    try {
      await layer.share(folder, signal);
      return layer;
    } catch (error) {
      await layer.abort();
      throw error;
    }
  }

  async changesOf(containerId: string, signal?: AbortSignal): Promise<LayerChange[]> {
    const { upper, lower: below } = await this.#collected(containerId, signal);
    return changesIn(this.#children, { upper, below }, `listing what container ${shortId(containerId)} has changed`, signal);
  }

  async packWritable(containerId: string, target: string, signal?: AbortSignal): Promise<PackedLayer> {
    const { home, upper, lower } = this.#writable(containerId);
    const mounted = this.#mounted.get(upper);
    if (mounted !== undefined) return this.#packTree(containerId, mounted, target, signal);
    const folder = path.join(home, `merged-${randomBytes(4).toString("hex")}`);
    await using undo = new Undo((message) => this.#log.warn(message));
    await mkdir(folder);
    undo.defer("removing the mount point", () => rmdir(folder));
    await this.#mounting.mountReadOnly([upper, ...lower], folder);
    undo.defer("unmounting", () => this.#mounting.unmount(folder));
    return await this.#packTree(containerId, folder, target, signal);
  }

  async commit(layers: FinishedLayer[]): Promise<void> {
    await this.#sync();
    failpoint("layers.commit.synced");
    const added = layers.filter(({ chainId }) => !this.has(chainId)).map((layer) => ({ ...layer, own: ownStaged(layer.staged) }));
    this.#table.add(added.map((layer) => ({ ...layer, folder: layer.own.name })));
    // A folder that a row names is no longer ours to throw away, whatever fails from here on.
    for (const { own } of added) this.#staging.delete(own);
    failpoint("layers.commit.written");
    await this.#table.durable();
  }

  async pack(chainId: string, target: string, options: { gzip?: boolean } = {}, signal?: AbortSignal): Promise<PackedLayer> {
    const { folder, diffId, tarBytes } = this.#table.get(chainId);
    const recipe = recipeIn(path.join(paths.layers(this.#roots), folder));
    const payload: PackRequest = {
      folder: this.#diffOf(folder),
      options: { isUpper: true },
      // Layers made here have none, nor those that were unpacked before there were any.
      recipe: existsSync(recipe) ? recipe : undefined,
      target,
      gzip: options.gzip,
    };
    const what = `packing layer ${shortId(diffId)}`;
    const packed = await packFolder(this.#children, payload, { what, heavy: true }, signal);
    if (packed.diffId !== diffId) {
      // Those that were unpacked before there were recipes come back only if their tar had the form that we write.
      const isOfOld = tarBytes === undefined && payload.recipe === undefined;
      const why = isOfOld
        ? "an earlier version unpacked it and kept nothing to make its tar of again"
        : `the store holds other content than when it was made (it packs to ${packed.diffId}, not to ${diffId})`;
      throw new EngineError("system", `${what}: ${why}: remove the images that have this layer, and pull, load or build them again`);
    }
    return packed;
  }

  async mountReadOnly(parent: LayerParent, target: string): Promise<void> {
    await this.#mounting.mountReadOnly(this.#below(parent), target);
  }

  async unmountReadOnly(target: string): Promise<void> {
    await this.#mounting.unmount(target);
  }

  inspect(chainId: string): Record<string, string> {
    const [top = "", ...lower] = this.#below(chainId);
    const home = path.dirname(top);
    return {
      ...(lower.length > 0 ? { LowerDir: lower.join(":") } : {}),
      MergedDir: path.join(home, "merged"),
      UpperDir: top,
      WorkDir: path.join(home, "work"),
    };
  }

  async remove(chainIds: string[]): Promise<string[]> {
    const removed = this.#table.remove(chainIds);
    // The row must be gone for good before its folder is: a row without a folder would be a broken layer.
    await this.#table.durable();
    await retry(DISCARD_PAUSES_MS, async () => {
      failpoint("layers.remove.forgotten");
      for (const { folder } of removed) await this.#trash.discard(path.join(paths.layers(this.#roots), folder));
    });
    return removed.map(({ chainId }) => chainId);
  }

  async createWritable(containerId: string, parent: string | undefined): Promise<void> {
    const home = paths.containerWritable(this.#roots, containerId);
    const below = this.#below(parent);
    this.#table.setWritable(containerId, parent);
    await mkdir(home, { recursive: true, mode: 0o700 });
    const mountPoints = this.#mountPoints(below);
    await together(makeLike(path.join(home, "diff"), mountPoints), mkdir(path.join(home, "work"), { mode: 0o700 }));
  }

  mountWritable(containerId: string, parent: string | undefined, target: string, options: { volatile?: boolean } = {}): Promise<void> {
    return this.#locks.run(containerId, async () => {
      const { lower, upper, work } = this.#writable(containerId, parent);
      const elsewhere = this.#mounted.get(upper);
      if (elsewhere !== undefined && this.#mounting.found().some((mount) => mount.target === elsewhere)) {
        if (elsewhere === target) return;
        throw new EngineError(
          "conflict",
          `mounting the file system of container ${shortId(containerId)} at ${target}: it is mounted at ${elsewhere} already`,
        );
      }
      await this.#mounting.mount({ upper, work, lower, volatile: options.volatile ?? false }, target);
      this.#mounted.set(upper, target);
    });
  }

  async unmountWritable(target: string): Promise<void> {
    await this.#mounting.unmount(target);
    for (const [upper, mountedAt] of this.#mounted) if (mountedAt === target) this.#mounted.delete(upper);
  }

  async removeWritable(containerId: string): Promise<void> {
    await this.#trash.discard(paths.containerWritable(this.#roots, containerId));
    failpoint("layers.removeWritable.discarded");
    this.#table.dropWritable(containerId);
  }

  inspectWritable(containerId: string, parent: string | undefined, target: string): Record<string, string> {
    const { lower, upper, work } = this.#writable(containerId, parent);
    return { ID: containerId, LowerDir: lower.join(":"), MergedDir: target, UpperDir: upper, WorkDir: work };
  }

  async measureWritable(containerId: string): Promise<number> {
    return measureTree((await this.#collected(containerId)).upper);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#trash[Symbol.asyncDispose]();
    if (this.#staging.size > 0) this.#log.warn({ staging: this.#staging.size }, "layers were still being filled");
  }

  async #mountStaged(
    { upper, work, below, above }: { upper: string; work: string; below: string[]; above: string[] },
    target: string,
    mountPoints: boolean,
  ): Promise<() => Promise<void>> {
    const busy = below.find((folder) => this.#mounted.has(folder));
    if (busy !== undefined) throw new EngineError("conflict", `mounting a layer at ${target}: ${busy}, below it, is being written to`);
    const lower = mountPoints ? [...above, this.#mountPoints(below), ...below] : below;
    const tree = { upper, work, lower, volatile: true };
    await this.#mounting.mount(tree, target);
    this.#mounted.set(upper, target);
    return async () => {
      await this.unmountWritable(target);
      await this.#mounting.collect(tree);
    };
  }

  #writable(containerId: string, parent = this.#table.parentOfWritable(containerId)): WritableFolders {
    const home = paths.containerWritable(this.#roots, containerId);
    const below = this.#below(parent);
    const lower = [this.#mountPoints(below), ...below];
    return { parent, home, lower, upper: path.join(home, "diff"), work: path.join(home, "work") };
  }

  /** The same, when all that the container has written is in the upper folder. */
  async #collected(containerId: string, signal?: AbortSignal): Promise<WritableFolders> {
    const folders = this.#writable(containerId);
    await this.#locks.run(containerId, () => this.#mounting.collect({ ...folders, volatile: false }, signal));
    return folders;
  }

  #mountPoints(below: string[]): string {
    const [uppermost] = below;
    return ensureMountPoints(uppermost === undefined ? paths.scratch(this.#roots) : path.dirname(uppermost), below);
  }

  #packTree(containerId: string, folder: string, target: string, signal?: AbortSignal): Promise<PackedLayer> {
    const what = `exporting container ${shortId(containerId)}`;
    return packFolder(this.#children, { folder, options: { isUpper: false }, target }, { what, heavy: true }, signal);
  }

  /** The folders of a layer and of all below it, topmost first. */
  #below(parent: LayerParent): string[] {
    if (typeof parent !== "object") return this.#table.chain(parent).map((folder) => this.#diffOf(folder));
    const own = ownStaged(parent);
    return [own.folder, ...own.below];
  }

  #diffOf(folder: string): string {
    return path.join(paths.layers(this.#roots), folder, "diff");
  }
}

interface WritableFolders {
  parent: string | undefined;
  home: string;
  /** Uppermost first: the mount points, then the image's layers. */
  lower: string[];
  upper: string;
  work: string;
}

function ownStaged(staged: StagedLayer): StagedFolder {
  if (!(staged instanceof StagedFolder)) throw new Error("a layer that another driver stages");
  return staged;
}

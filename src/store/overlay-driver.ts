import { randomBytes } from "node:crypto";
import { chmod, chown, lstat, mkdir, readdir, rm, stat } from "node:fs/promises";
import path from "node:path";

import { EngineError, codeOf } from "../base/errors.ts";
import { failpoint } from "../base/failpoint.ts";
import { shortId } from "../base/ids.ts";
import { KeyedLock } from "../base/locks.ts";
import type { Log } from "../base/log.ts";
import { retry } from "../base/retry.ts";
import { together } from "../base/together.ts";
import { setTopDirectoryFlag, syncFileSystem } from "../kernel/file-attributes.ts";
import { mountOverlay, readMounts, unmount } from "../kernel/mount.ts";
import { groupedCalls } from "./grouped-calls.ts";
import type { Database } from "./database.ts";
import type { FinishedLayer, LayerDriver, StagedLayer } from "./layers.ts";
import { paths, type Roots } from "./roots.ts";
import { openTrash } from "./trash.ts";
import { measureTree } from "./tree-size.ts";

/** A removed layer's folder that cannot be moved away now; the next start would. */
const DISCARD_PAUSES_MS = [100];

/**
 * The overlay driver. A layer is a folder `layers/RANDOM/diff`, filled where it stays: its row in the database is what makes it exist, so
 * no rename is needed, and start-up throws away every folder without a row. The random names and the TOPDIR flag on `layers/` keep ext4
 * from slowing down to a tenth after deletions. Whiteouts are character devices 0:0, an opaque directory carries
 * `trusted.overlay.opaque`. A writable layer is `containers/ID/rw`: `diff` and `work`, and `empty` in place of a missing parent.
 *
 * The kernel accepts two mounts over one upper folder and then corrupts it; `#mounted` is the guard.
 */
export async function openOverlayDriver(options: { database: Database; roots: Roots; log: Log }): Promise<LayerDriver> {
  const { roots, log } = options;
  if (/[:,\\]/.test(roots.data)) {
    throw new EngineError(
      "invalid",
      `the data root ${roots.data} contains a colon, comma or backslash, which overlay mounts cannot name: use another --data-root`,
    );
  }
  if (!setTopDirectoryFlag(paths.layers(roots))) log.debug("the data root's file system has no TOPDIR flag");
  const driver = new OverlayDriver(options);
  await driver.sweep();
  return driver;
}

class OverlayDriver implements LayerDriver {
  readonly name = "overlay2";
  readonly #database: Database;
  readonly #roots: Roots;
  readonly #log: Log;
  readonly #trash;
  readonly #sync;
  readonly #locks = new KeyedLock();
  /** The rows of `layers`, changed together with them. */
  readonly #layers: Map<string, LayerRow>;
  /** Upper folder → where it is mounted, as far as we know. */
  readonly #mounted = new Map<string, string>();
  /** Folders of layers being filled. */
  readonly #staging = new Set<string>();

  constructor(options: { database: Database; roots: Roots; log: Log }) {
    this.#database = options.database;
    this.#roots = options.roots;
    this.#log = options.log;
    this.#layers = readRows(options.database);
    this.#trash = openTrash(paths.layersTrash(options.roots), (error) => options.log.warn({ err: error }, "emptying the layers' trash"));
    this.#sync = groupedCalls(() => syncFileSystem(paths.layers(options.roots)));
    for (const mount of readMounts()) {
      const upper = /(?:^|,)upperdir=([^,]+)/.exec(mount.superOptions)?.[1];
      if (mount.type === "overlay" && upper?.startsWith(paths.containers(options.roots))) this.#mounted.set(upper, mount.target);
    }
  }

  /** Throws away what an earlier daemon left half done: folders that no row names. */
  async sweep(): Promise<void> {
    const known = new Set([...this.#layers.values()].map(({ folder }) => folder));
    for (const name of await readdir(paths.layers(this.#roots))) {
      if (!known.has(name)) await this.#trash.discard(path.join(paths.layers(this.#roots), name));
    }
  }

  has(chainId: string): boolean {
    return this.#layers.has(chainId);
  }

  describe(chainId: string): { parent: string | undefined; diffId: string; bytes: number } | undefined {
    const row = this.#layers.get(chainId);
    return row && { parent: row.parent, diffId: row.diffId, bytes: row.bytes };
  }

  list(): string[] {
    return [...this.#layers.keys()];
  }

  isBeingFilled(folderName: string): boolean {
    return this.#staging.has(path.join(paths.layers(this.#roots), folderName, "diff"));
  }

  async stage(parent: StagedLayer | string | undefined): Promise<StagedLayer> {
    const name = randomBytes(10).toString("hex");
    const home = path.join(paths.layers(this.#roots), name);
    const folder = path.join(home, "diff");
    const below = typeof parent === "object" ? [parent.folder, ...parent.below] : parent === undefined ? [] : this.#folders(parent);
    this.#staging.add(folder);
    await mkdir(home, { mode: 0o700 });
    await makeLike(folder, below[0]);
    return {
      folder,
      below,
      abort: async () => {
        if (this.#staging.delete(folder)) await this.#trash.discard(home);
      },
    };
  }

  async commit(layers: FinishedLayer[]): Promise<void> {
    await this.#sync();
    failpoint("layers.commit.synced");
    const added = layers.filter(({ chainId }) => !this.#layers.has(chainId));
    const rows = added.map(({ chainId, parent, diffId, bytes, staged }) => {
      return { chainId, parent, diffId, bytes, folder: path.basename(path.dirname(staged.folder)) };
    });
    this.#database.write((sql) => {
      const insert = sql.prepare("INSERT INTO layers (chain_id, parent, diff_id, folder, bytes) VALUES (?, ?, ?, ?, ?)");
      for (const { chainId, parent, diffId, folder, bytes } of rows) insert.run(chainId, parent ?? null, diffId, folder, bytes);
    });
    for (const { chainId, ...row } of rows) this.#layers.set(chainId, row);
    // A folder that a row names is no longer ours to throw away, whatever fails from here on.
    for (const { staged } of added) this.#staging.delete(staged.folder);
    failpoint("layers.commit.written");
    await this.#database.durable();
  }

  inspect(chainId: string): Record<string, string> {
    const [top = "", ...lower] = this.#folders(chainId);
    const home = path.dirname(top);
    return {
      ...(lower.length > 0 ? { LowerDir: lower.join(":") } : {}),
      MergedDir: path.join(home, "merged"),
      UpperDir: top,
      WorkDir: path.join(home, "work"),
    };
  }

  async remove(chainIds: string[]): Promise<string[]> {
    const removed: { chainId: string; folder: string }[] = [];
    this.#database.write((sql) => {
      const needed = sql.prepare("SELECT 1 FROM layers WHERE parent = ? UNION ALL SELECT 1 FROM writable_layers WHERE parent = ? LIMIT 1");
      const drop = sql.prepare("DELETE FROM layers WHERE chain_id = ? RETURNING folder");
      for (const chainId of chainIds) {
        if (needed.get(chainId, chainId) !== undefined) continue;
        const folder = drop.get(chainId)?.["folder"];
        if (typeof folder === "string") removed.push({ chainId, folder });
      }
    });
    for (const { chainId } of removed) this.#layers.delete(chainId);
    // The row must be gone for good before its folder is: a row without a folder would be a broken layer.
    await this.#database.durable();
    await retry(DISCARD_PAUSES_MS, async () => {
      failpoint("layers.remove.forgotten");
      for (const { folder } of removed) await this.#trash.discard(path.join(paths.layers(this.#roots), folder));
    });
    return removed.map(({ chainId }) => chainId);
  }

  async createWritable(containerId: string, parent: string | undefined): Promise<void> {
    const home = paths.containerWritable(this.#roots, containerId);
    const [below] = parent === undefined ? [undefined] : this.#folders(parent);
    this.#database.write((sql) => {
      sql.prepare("INSERT OR REPLACE INTO writable_layers (container, parent) VALUES (?, ?)").run(containerId, parent ?? null);
    });
    await mkdir(home, { recursive: true, mode: 0o700 });
    await together(makeLike(path.join(home, "diff"), below), mkdir(path.join(home, "work"), { mode: 0o700 }));
    if (parent === undefined) await mkdir(path.join(home, "empty"), { mode: 0o755 });
  }

  mountWritable(containerId: string, parent: string | undefined, target: string, options: { volatile?: boolean } = {}): Promise<void> {
    return this.#locks.run(containerId, async () => {
      const { lower, upper, work } = this.#writableFolders(containerId, parent);
      const elsewhere = this.#mounted.get(upper);
      if (elsewhere !== undefined && (await isMountPoint(elsewhere))) {
        if (elsewhere === target) return;
        throw new EngineError(
          "conflict",
          `mounting the file system of container ${shortId(containerId)} at ${target}: it is mounted at ${elsewhere} already`,
        );
      }
      const volatile = options.volatile ?? false;
      // A volatile mount leaves this mark for the kernel to refuse the next mount; its content is declared expendable, so go on.
      await rm(path.join(work, "work/incompat"), { recursive: true, force: true });
      await mountOverlay({ lower, upper, work, target, volatile });
      this.#mounted.set(upper, target);
    });
  }

  async unmountWritable(target: string): Promise<void> {
    await unmount(target);
    for (const [upper, mountedAt] of this.#mounted) if (mountedAt === target) this.#mounted.delete(upper);
  }

  async removeWritable(containerId: string): Promise<void> {
    await this.#trash.discard(paths.containerWritable(this.#roots, containerId));
    failpoint("layers.removeWritable.discarded");
    this.#database.write((sql) => sql.prepare("DELETE FROM writable_layers WHERE container = ?").run(containerId));
  }

  inspectWritable(containerId: string, parent: string | undefined, target: string): Record<string, string> {
    const { lower, upper, work } = this.#writableFolders(containerId, parent);
    return { ID: containerId, LowerDir: lower.join(":"), MergedDir: target, UpperDir: upper, WorkDir: work };
  }

  async measureWritable(containerId: string): Promise<number> {
    return measureTree(this.#writableFolders(containerId, undefined).upper);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#trash[Symbol.asyncDispose]();
    if (this.#staging.size > 0) this.#log.warn({ staging: this.#staging.size }, "layers were still being filled");
  }

  #writableFolders(containerId: string, parent: string | undefined): { lower: string[]; upper: string; work: string } {
    const home = paths.containerWritable(this.#roots, containerId);
    const lower = parent === undefined ? [path.join(home, "empty")] : this.#folders(parent);
    return { lower, upper: path.join(home, "diff"), work: path.join(home, "work") };
  }

  /** The folders of a layer and of all below it, topmost first. */
  #folders(chainId: string): string[] {
    const folders: string[] = [];
    for (let next: string | undefined = chainId; next !== undefined;) {
      const row = this.#layers.get(next);
      if (row === undefined) throw new EngineError("system", `layer ${next} is not in the store`);
      folders.push(path.join(paths.layers(this.#roots), row.folder, "diff"));
      next = row.parent;
    }
    return folders;
  }
}

interface LayerRow {
  parent: string | undefined;
  diffId: string;
  /** Below `layers/`. */
  folder: string;
  bytes: number;
}

function readRows(database: Database): Map<string, LayerRow> {
  const rows = database.sql.prepare("SELECT chain_id, parent, diff_id, folder, bytes FROM layers").all();
  return new Map(
    rows.map(({ chain_id: chainId, parent, diff_id: diffId, folder, bytes }) => [
      String(chainId),
      { parent: typeof parent === "string" ? parent : undefined, diffId: String(diffId), folder: String(folder), bytes: Number(bytes) },
    ]),
  );
}

/** Makes a folder with the owner and mode of the one it will lie over: an overlay's root shows those of its topmost folder. */
async function makeLike(folder: string, below: string | undefined): Promise<void> {
  const like = below === undefined ? { uid: 0, gid: 0, mode: 0o755 } : await stat(below);
  const mode = like.mode & 0o7777;
  await mkdir(folder, { mode });
  if (like.uid !== 0 || like.gid !== 0) await chown(folder, like.uid, like.gid);
  // mkdir takes neither setuid bits nor what the umask takes away.
  if (mode > 0o777 || (mode & process.umask()) !== 0) await chmod(folder, mode);
}

async function isMountPoint(folder: string): Promise<boolean> {
  try {
    const [self, above] = await Promise.all([lstat(folder), lstat(path.dirname(folder))]);
    return self.dev !== above.dev;
  } catch (error) {
    if (codeOf(error) === "ENOENT") return false;
    throw error;
  }
}

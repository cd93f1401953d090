import { EngineError } from "../base/errors.ts";
import type { Database } from "./database.ts";
import type { FinishedLayer } from "./layers.ts";

/** The rows of committed layers, with a copy of them in memory, and those that say which layer a container's writable one sits on. */
export interface LayerRow {
  parent: string | undefined;
  diffId: string;
  /** Below `layers/`. */
  folder: string;
  bytes: number;
  tarBytes: number | undefined;
}

export class LayerTable {
  readonly #database: Database;
  readonly #rows = new Map<string, LayerRow>();

  constructor(database: Database) {
    this.#database = database;
    for (const row of database.sql.prepare("SELECT chain_id, parent, diff_id, folder, bytes, tar_bytes FROM layers").all()) {
      const { chain_id: chainId, parent, diff_id: diffId, folder, bytes, tar_bytes: tarBytes } = row;
      this.#rows.set(String(chainId), {
        parent: typeof parent === "string" ? parent : undefined,
        diffId: String(diffId),
        folder: String(folder),
        bytes: Number(bytes),
        tarBytes: tarBytes === null ? undefined : Number(tarBytes),
      });
    }
  }

  find(chainId: string): LayerRow | undefined {
    return this.#rows.get(chainId);
  }

  get(chainId: string): LayerRow {
    const row = this.#rows.get(chainId);
    if (row === undefined) throw new EngineError("system", `layer ${chainId} is not in the store`);
    return row;
  }

  chainIds(): string[] {
    return [...this.#rows.keys()];
  }

  /** Names of the folders that are layers. */
  folders(): Set<string> {
    return new Set([...this.#rows.values()].map(({ folder }) => folder));
  }

  /** The names of the folders of a layer and of all below it, topmost first. */
  chain(chainId: string | undefined): string[] {
    const folders: string[] = [];
    for (let next = chainId; next !== undefined;) {
      const { folder, parent } = this.get(next);
      folders.push(folder);
      next = parent;
    }
    return folders;
  }

  /** Not yet durable. */
  add(layers: (FinishedLayer & { folder: string })[]): void {
    this.#database.write((sql) => {
      const insert = sql.prepare("INSERT INTO layers (chain_id, parent, diff_id, folder, bytes, tar_bytes) VALUES (?, ?, ?, ?, ?, ?)");
      for (const { chainId, parent, diffId, folder, bytes, tarBytes } of layers)
        insert.run(chainId, parent ?? null, diffId, folder, bytes, tarBytes ?? null);
    });
    for (const { chainId, parent, diffId, folder, bytes, tarBytes } of layers)
      this.#rows.set(chainId, { parent, diffId, folder, bytes, tarBytes });
  }

  /** Takes out those that nothing sits on, topmost first. Answers those that went. Not yet durable. */
  remove(chainIds: string[]): { chainId: string; folder: string }[] {
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
    for (const { chainId } of removed) this.#rows.delete(chainId);
    return removed;
  }

  setWritable(containerId: string, parent: string | undefined): void {
    this.#database.write((sql) => {
      sql.prepare("INSERT OR REPLACE INTO writable_layers (container, parent) VALUES (?, ?)").run(containerId, parent ?? null);
    });
  }

  dropWritable(containerId: string): void {
    this.#database.write((sql) => sql.prepare("DELETE FROM writable_layers WHERE container = ?").run(containerId));
  }

  /** What a container's writable layer sits on. */
  parentOfWritable(containerId: string): string | undefined {
    const parent = this.#database.sql.prepare("SELECT parent FROM writable_layers WHERE container = ?").get(containerId)?.["parent"];
    return typeof parent === "string" ? parent : undefined;
  }

  durable(): Promise<void> {
    return this.#database.durable();
  }
}

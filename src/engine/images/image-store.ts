import { createHash } from "node:crypto";

import type { Database } from "../../store/database.ts";
import { parseTimestamp } from "../../base/time.ts";
import type { LayerDriver } from "../../store/layers.ts";
import type { ImageConfig } from "./image-config.ts";
import type { Image } from "./images.ts";
import { familiarReference, parseReference, type Reference } from "./reference.ts";

/**
 * What is known of images: their records and references. The database is the truth; this is a copy of it in memory, changed together
 * with it in one transaction. Layers are the driver's (found by chainID), the bytes of configs and manifests are blobs.
 */
export interface ImageRecord {
  /** Digest of the config's bytes. */
  id: string;
  config: ImageConfig;
  /** Digests of the manifest and index it came with, whose bytes are kept as blobs like the config's. */
  manifests: string[];
  /** The image it was made from here, by commit or build. */
  parent?: string | undefined;
  /** Nanoseconds, in decimal; "0" for never. */
  lastTaggedNs: string;
  /** Made by a step of a build: what the step does to its parent, as a digest. The same step on the same parent finds it again. */
  stepKey?: string | undefined;
  /** A build came to it, so it is more than a step of the cache. */
  isResult?: boolean | undefined;
}

export class ImageStore {
  readonly #database: Database;
  readonly #layers: LayerDriver;
  readonly #records = new Map<string, ImageRecord>();
  /** Full reference → image id. */
  readonly #references = new Map<string, string>();
  /** Step key → image ids, oldest first. */
  readonly #steps = new Map<string, Set<string>>();
  /** The same the other way round. */
  readonly #named = new Map<string, Set<string>>();

  constructor(database: Database, layers: LayerDriver) {
    this.#database = database;
    this.#layers = layers;
    for (const row of database.sql.prepare("SELECT record FROM images").all()) {
      // Written by `put` only.
      const record = JSON.parse(String(row["record"])) as ImageRecord;
      this.#remember(record);
    }
    for (const row of database.sql.prepare("SELECT reference, image FROM image_references").all()) {
      this.#refer(String(row["reference"]), String(row["image"]));
    }
  }

  record(id: string): ImageRecord | undefined {
    return this.#records.get(id);
  }

  records(): ImageRecord[] {
    return [...this.#records.values()];
  }

  children(id: string): ImageRecord[] {
    return this.records().filter((record) => record.parent === id);
  }

  /** The newest image that a build's step made. */
  byStepKey(key: string): ImageRecord | undefined {
    const made = [...(this.#steps.get(key) ?? [])].map((id) => this.#records.get(id)).filter((record) => record !== undefined);
    return made.toSorted((a, b) => ((a.config.created ?? "") < (b.config.created ?? "") ? -1 : 1)).at(-1);
  }

  /** The image that a full reference names. */
  byReference(reference: string): string | undefined {
    return this.#references.get(reference);
  }

  /** References with a tag of the repository with this full name, sorted. */
  tagsOf(name: string): Reference[] {
    const tagged = [...this.#references.keys()].filter((reference) => reference.startsWith(`${name}:`));
    return tagged.sort().map(parseReference);
  }

  /** References of an image, sorted as Docker sorts them. */
  referencesOf(id: string): Reference[] {
    return [...(this.#named.get(id) ?? [])].sort().map(parseReference);
  }

  /** References of a repository (`docker.io/library/busybox`), sorted. */
  referencesOfRepository(fullName: string): Reference[] {
    const own = [...this.#references.keys()].filter(
      (reference) => reference.startsWith(`${fullName}:`) || reference.startsWith(`${fullName}@`),
    );
    return own.sort().map(parseReference);
  }

  /** Ids that begin so, with or without `sha256:`. */
  byIdPrefix(prefix: string): string[] {
    const digits = prefix.replace(/^sha256:/, "");
    if (!/^[a-f0-9]+$/.test(digits)) return [];
    return [...this.#records.keys()].filter((id) => id.startsWith(`sha256:${digits}`));
  }

  /** Adds or replaces records, moves references, removes them, forgets images: all of it or nothing. Not yet durable. */
  change(changes: { put?: ImageRecord[]; refer?: { reference: string; image: string }[]; unrefer?: string[]; forget?: string[] }): void {
    const { put = [], refer = [], unrefer = [], forget = [] } = changes;
    this.#database.write((sql) => {
      for (const record of put) {
        sql
          .prepare("INSERT INTO images (id, record) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET record = excluded.record")
          .run(record.id, JSON.stringify(record));
      }
      for (const { reference, image } of refer) {
        sql.prepare("INSERT OR REPLACE INTO image_references (reference, image) VALUES (?, ?)").run(reference, image);
      }
      for (const reference of unrefer) sql.prepare("DELETE FROM image_references WHERE reference = ?").run(reference);
      for (const id of forget) sql.prepare("DELETE FROM images WHERE id = ?").run(id);
    });
    for (const record of put) this.#remember(record);
    for (const { reference, image } of refer) this.#refer(reference, image);
    for (const reference of unrefer) this.#unrefer(reference);
    for (const id of forget) {
      this.#steps.get(this.#records.get(id)?.stepKey ?? "")?.delete(id);
      this.#records.delete(id);
    }
  }

  #remember(record: ImageRecord): void {
    this.#records.set(record.id, record);
    if (record.stepKey !== undefined) this.#steps.set(record.stepKey, (this.#steps.get(record.stepKey) ?? new Set()).add(record.id));
  }

  #refer(reference: string, image: string): void {
    this.#unrefer(reference);
    this.#references.set(reference, image);
    this.#named.set(image, (this.#named.get(image) ?? new Set()).add(reference));
  }

  #unrefer(reference: string): void {
    const image = this.#references.get(reference);
    if (image === undefined) return;
    this.#references.delete(reference);
    this.#named.get(image)?.delete(reference);
  }

  durable(): Promise<void> {
    return this.#database.durable();
  }

  /** Of the layer alone; 0 when it is not here. */
  layerBytes(chainId: string): number {
    return this.#layers.describe(chainId)?.bytes ?? 0;
  }

  image(record: ImageRecord): Image {
    const references = this.referencesOf(record.id);
    const chainIds = chainIdsOf(record.config.rootfs.diff_ids);
    return {
      id: record.id,
      tags: references.filter((reference) => reference.tag !== undefined).map(familiarReference),
      digests: references.filter((reference) => reference.digest !== undefined).map(familiarReference),
      config: record.config,
      parent: record.parent,
      manifests: record.manifests,
      chainId: chainIds.at(-1),
      sizeBytes: chainIds.reduce((sum, chainId) => sum + this.layerBytes(chainId), 0),
      createdNs: parseTimestamp(record.config.created ?? "") ?? 0n,
      lastTaggedNs: BigInt(record.lastTaggedNs),
    };
  }
}

/** Of lists that nobody changes: records' are asked for again and again. */
const knownChains = new WeakMap<readonly string[], string[]>();

/** The chainID of each layer, lowest first. */
export function chainIdsOf(diffIds: readonly string[]): string[] {
  const known = knownChains.get(diffIds);
  if (known?.length === diffIds.length) return known;
  let chainId: string | undefined;
  const chainIds = diffIds.map((diffId) => (chainId = chainIdOf(chainId, diffId)));
  knownChains.set(diffIds, chainIds);
  return chainIds;
}

/** Of a layer on top of another (image-spec, "Layer ChainID"). */
export function chainIdOf(parent: string | undefined, diffId: string): string {
  return parent === undefined ? diffId : `sha256:${createHash("sha256").update(`${parent} ${diffId}`).digest("hex")}`;
}

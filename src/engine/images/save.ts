import { rm } from "node:fs/promises";

import { EngineError } from "../../base/errors.ts";
import { failpoint } from "../../base/failpoint.ts";
import { growingFile } from "../../base/growing-file.ts";
import type { PackedLayer } from "../../store/layers.ts";
import { END_BYTES, packHeader, paddingAfter } from "../../tar/pack-header.ts";
import { blobName, documentsOf, type SavedImage } from "./archives/saved-documents.ts";
import { findRecord, getRecord, lookupKey } from "./find.ts";
import { chainIdsOf, type ImageRecord } from "./image-store.ts";
import type { Pin } from "./images.ts";
import type { ImageEngine } from "./open-images.ts";
import { choosePlatform, formatPlatform, type Platform } from "./platform.ts";
import { fullName, isDigest, isIdentifier, parseReference, type Reference } from "./reference.ts";

/**
 * `GET /images/get`: images as one archive, each layer once. Layers are packed by children into files of their own, side by side, and sent in
 * order while these grow: a slow client keeps no child waiting. A layer that proves damaged cuts the connection, for its beginning is sent.
 */
export async function saveImages(
  engine: ImageEngine,
  names: string[],
  options: { platform?: Platform | undefined },
  signal: AbortSignal,
): Promise<AsyncIterable<Uint8Array>> {
  const chosen = chooseImages(engine, names);
  for (const { record } of chosen.values()) checkPlatform(record, options.platform);
  // Held from here on, without any waiting since they were found.
  const pin = engine.pin();
  try {
    const images = await Promise.all([...chosen.values()].map((image) => describe(engine, image, chosen, pin)));
    return archive(engine, images, pin, signal);
  } catch (error) {
    pin[Symbol.dispose]();
    throw error;
  }
}

interface Chosen {
  record: ImageRecord;
  references: Reference[];
}

/** By Docker's rules: a name without a tag stands for all of its tags, and only names that were asked for are in the archive. */
function chooseImages(engine: ImageEngine, names: string[]): Map<string, Chosen> {
  const chosen = new Map<string, Chosen>();
  const add = (record: ImageRecord, reference?: Reference): void => {
    const image = chosen.get(record.id) ?? { record, references: [] };
    chosen.set(record.id, image);
    if (reference?.tag === undefined || image.references.some((other) => lookupKey(other) === lookupKey(reference))) return;
    image.references.push(reference);
  };
  for (const name of names) {
    if (isIdentifier(name) || isDigest(name)) {
      add(getRecord(engine.store, name));
      continue;
    }
    const reference = parseReference(name);
    if (reference.tag !== undefined || reference.digest !== undefined) {
      const record = findRecord(engine.store, name);
      if (record === undefined) throw new EngineError("notFound", "reference does not exist");
      add(record, reference.digest === undefined ? reference : undefined);
      continue;
    }
    const tagged = engine.store.tagsOf(fullName(reference));
    for (const tag of tagged) add(getRecord(engine.store, lookupKey(tag)), tag);
    if (tagged.length > 0) continue;
    const record = findRecord(engine.store, name);
    if (record === undefined) throw new EngineError("notFound", `No such image: ${name}`);
    add(record);
  }
  return chosen;
}

function checkPlatform({ config }: ImageRecord, platform: Platform | undefined): void {
  if (platform === undefined || choosePlatform(platform, [config]) !== undefined) return;
  throw new EngineError("notFound", `no suitable export target found for platform ${formatPlatform(platform)}`);
}

async function describe(
  engine: ImageEngine,
  { record, references }: Chosen,
  chosen: ReadonlyMap<string, unknown>,
  pin: Pin,
): Promise<SavedImage> {
  const { id, config, parent } = record;
  const layers = config.rootfs.diff_ids;
  for (const digest of [id, ...chainIdsOf(layers)]) pin.hold(digest);
  const configBytes = await engine.blobs.read(id);
  return { id, configBytes, layers, references, parent: parent !== undefined && chosen.has(parent) ? parent : undefined };
}

async function* archive(engine: ImageEngine, images: SavedImage[], pin: Pin, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  const over = new AbortController();
  const packs = packAll(engine, images, AbortSignal.any([signal, over.signal]));
  try {
    const sizes = new Map<string, number>();
    yield* folders();
    for (const [diffId, { path, sizeBytes: expected, packed }] of packs) {
      const sizeBytes = expected ?? (await packed).sizeBytes;
      sizes.set(diffId, sizeBytes);
      yield headerOf(blobName(diffId), sizeBytes);
      yield* growingFile(path, packed);
      failpoint("images.save.packed");
      yield Buffer.alloc(paddingAfter(sizeBytes));
      await rm(path, { force: true });
    }
    for (const { name, content } of documentsOf(images, sizes)) {
      yield Buffer.concat([headerOf(name, content.length), content, Buffer.alloc(paddingAfter(content.length))]);
    }
    yield Buffer.alloc(END_BYTES);
    for (const { id } of images) {
      const record = engine.store.record(id);
      if (record !== undefined) engine.announce("save", id, id, record.config);
    }
  } finally {
    pin[Symbol.dispose]();
    over.abort(new EngineError("system", "canceled"));
    for (const { path, packed } of packs.values()) {
      await packed.catch(() => undefined);
      await rm(path, { force: true });
    }
  }
}

interface Pack {
  path: string;
  /** Of its tar, where it is known beforehand. */
  sizeBytes: number | undefined;
  packed: Promise<PackedLayer>;
}

/** Begins to pack every layer, by its diffID: the same layer of two images is one. */
function packAll(engine: ImageEngine, images: SavedImage[], signal: AbortSignal): Map<string, Pack> {
  const packs = new Map<string, Pack>();
  for (const { layers } of images) {
    const chainIds = chainIdsOf(layers);
    for (const [at, diffId] of layers.entries()) {
      if (packs.has(diffId)) continue;
      const path = engine.blobs.temporaryPath();
      const packed = engine.layers.pack(chainIds[at] ?? "", path, {}, signal);
      packed.catch(() => undefined);
      packs.set(diffId, { path, sizeBytes: engine.layers.describe(chainIds[at] ?? "")?.tarBytes, packed });
    }
  }
  return packs;
}

function* folders(): Generator<Buffer> {
  for (const name of ["blobs/", "blobs/sha256/"]) yield packHeader({ ...PLAIN, typeFlag: "5", name, mode: 0o755 });
}

function headerOf(name: string, sizeBytes: number): Buffer {
  return packHeader({ ...PLAIN, name, sizeBytes });
}

/** Owned by root, of 1970. */
const PLAIN = { typeFlag: "0", linkName: "", mode: 0o644, user: 0, group: 0, modifiedSeconds: 0, major: 0, minor: 0, sizeBytes: 0 };

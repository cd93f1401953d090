import type { Log } from "../../base/log.ts";
import { openBlobs, type Blobs } from "../../store/blobs.ts";
import type { ChildPool } from "../../store/child/pool.ts";
import type { Database } from "../../store/database.ts";
import type { LayerDriver } from "../../store/layers.ts";
import type { Events } from "../events/events.ts";
import { ensureEmbeddedBusybox } from "./embedded.ts";
import { findRecord, getRecordFor } from "./find.ts";
import { KeyedLock } from "../../base/locks.ts";
import { paths, type Roots } from "../../store/roots.ts";
import type { ImageConfig } from "./image-config.ts";
import { chainIdsOf, ImageStore } from "./image-store.ts";
import type { Image, Images, Pin } from "./images.ts";
import { addChild } from "./add-child.ts";
import { addSteps } from "./add-steps.ts";
import { importImage } from "./import.ts";
import { inspectRemote } from "./inspect-remote.ts";
import { listImages } from "./list.ts";
import { openLayerDownloads, type LayerDownloads } from "./layer-downloads.ts";
import { logIn } from "./log-in.ts";
import { openLayerJobs, type LayerJobs } from "./layer-jobs.ts";
import { openLayerDigests, type LayerDigests } from "./layer-digests.ts";
import { openPackedLayers, type PackedLayers } from "./packed-layers.ts";
import { pullImage } from "./pull.ts";
import { pruneImages } from "./prune.ts";
import { pushImage } from "./push.ts";
import { removeImage } from "./remove.ts";
import { loadImages } from "./load.ts";
import { saveImages } from "./save.ts";
import { searchImages } from "./search.ts";
import { adoptImage, listSteps, markResult, removeSteps } from "./step-images.ts";
import { tagImage } from "./tag.ts";
import { openTurns, type Turns } from "./turns.ts";

/** What the verbs of images work with. */
export interface ImageEngine {
  store: ImageStore;
  blobs: Blobs;
  layers: LayerDriver;
  children: ChildPool;
  downloads: LayerDownloads;
  layerJobs: LayerJobs;
  layerDigests: LayerDigests;
  packedLayers: PackedLayers;
  /** Of all pushes together. */
  uploadTurns: Turns;
  /** By what is being done: a prune, an upload of a layer to a repository. */
  locks: KeyedLock;
  roots: Roots;
  log: Log;
  registry: RegistrySettings;
  usersOf: (imageId: string) => { id: string; running: boolean }[];
  /** Publishes an event; `name` is what it happened to by the user's word. */
  announce: (action: string, id: string, name: string, config: ImageConfig | undefined) => void;
  announcePrune: (reclaimedBytes: number) => void;
  /** Holds layers and blobs that an operation under way counts on, although no image names them yet; until it is disposed. */
  pin: () => Pin;
  pinned: ReadonlySet<Pin>;
}

export interface RegistrySettings {
  /** `host:port`, or address blocks. */
  insecureRegistries: string[];
  /** For docker.io only, as in Docker. */
  mirrors: string[];
  /** Folders with `HOST/ca.crt`, client certificates and keys, as Docker's `certs.d`. */
  certificateFolders: string[];
  /** Layers that are downloaded at once, by all pulls together. */
  maxConcurrentDownloads: number;
  /** Layers that are uploaded at once, by all pushes together. */
  maxConcurrentUploads: number;
  /** How often a layer is tried when the network fails. */
  maxDownloadAttempts: number;
  /** Without a byte of a layer for this long the registry counts as gone. */
  stallTimeoutMs: number;
  /** Before the second attempt; doubled before each further one. */
  retryDelayMs: number;
}

const REGISTRY_DEFAULTS: RegistrySettings = {
  insecureRegistries: [],
  mirrors: [],
  certificateFolders: [],
  maxConcurrentDownloads: 3,
  maxConcurrentUploads: 5,
  maxDownloadAttempts: 5,
  stallTimeoutMs: 60_000,
  retryDelayMs: 1000,
};

export interface ImagesOptions {
  database: Database;
  roots: Roots;
  log: Log;
  layers: LayerDriver;
  registryConfig: Partial<RegistrySettings>;
  /** Containers that were made from an image. */
  usersOf: (imageId: string) => { id: string; running: boolean }[];
  children: ChildPool;
  events?: Events | undefined;
}

/** Opens the images of a data root. `restore` must run before anything else is asked. */
export function openImages(options: ImagesOptions): Images {
  const { database, roots, log, layers, children, usersOf, events } = options;
  const pinned = new Set<Pin>();
  const blobs = openBlobs(roots);
  const registry: RegistrySettings = { ...REGISTRY_DEFAULTS, ...options.registryConfig };
  const parts: Omit<ImageEngine, "layerJobs"> = {
    store: new ImageStore(database, layers),
    blobs,
    layers,
    children,
    downloads: openLayerDownloads({ blobs, children, registry }),
    layerDigests: openLayerDigests(database),
    packedLayers: openPackedLayers({ layers, blobs }, paths.packedLayers(roots)),
    uploadTurns: openTurns(registry.maxConcurrentUploads),
    locks: new KeyedLock(),
    roots,
    log,
    registry,
    usersOf,
    announce: (action, id, name, config) =>
      events?.publish({ type: "image", action, actor: { id, attributes: { ...config?.config?.Labels, name } } }),
    announcePrune: (bytes) =>
      events?.publish({ type: "image", action: "prune", actor: { id: "", attributes: { reclaimed: String(bytes) } } }),
    pin: () => createPin(pinned),
    pinned,
  };
  const engine: ImageEngine = { ...parts, layerJobs: openLayerJobs(parts) };
  const { store } = engine;
  const find = (nameOrId: string) => {
    const record = findRecord(store, nameOrId);
    return record && store.image(record);
  };

  return {
    get: (nameOrId, platform) => store.image(getRecordFor(store, nameOrId, platform)),
    find,
    list: (listOptions) => listImages(store, listOptions),
    ancestorsOf: (image) => ancestorsOf(store, image),
    layersBytes: () => {
      const named = new Set(store.records().flatMap((record) => chainIdsOf(record.config.rootfs.diff_ids)));
      return [...named].reduce((sum, chainId) => sum + store.layerBytes(chainId), 0);
    },
    countUsers: ({ id }) => usersOf(id).length,
    pull: (request, progress, signal) => pullImage(engine, request, progress, signal),
    push: (request, progress, signal) => pushImage(engine, request, progress, signal),
    import: (request, progress, signal) => importImage(engine, request, progress, signal),
    load: (request, progress, signal = new AbortController().signal) => loadImages(engine, request, progress, signal),
    save: (names, saveOptions, signal = new AbortController().signal) => saveImages(engine, names, saveOptions, signal),
    inspectRemote: (name, auth, signal) => inspectRemote(engine, name, auth, signal),
    search: (request, signal) => searchImages(engine, request, signal),
    logIn: (auth, signal) => logIn(engine, auth, signal),
    tag: (nameOrId, repository, tag) => tagImage(engine, nameOrId, repository, tag),
    addChild: async (child) => store.image(await addChild(engine, child)),
    addSteps: (steps) => addSteps(engine, steps),
    findStep: (key) => {
      const record = store.byStepKey(key);
      return record && store.image(record);
    },
    steps: () => listSteps(engine),
    removeSteps: (ids) => removeSteps(engine, ids),
    adopt: (id, parent) => adoptImage(engine, id, parent),
    markResult: (id) => markResult(engine, id),
    pin: () => engine.pin(),
    prune: (filters, signal) => pruneImages(engine, filters, signal),
    remove: (nameOrId, removeOptions) => removeImage(engine, nameOrId, removeOptions),
    layersOf: (image) => ({
      driver: layers.name,
      data: image.chainId === undefined ? {} : layers.inspect(image.chainId),
      sizesBytes: chainIdsOf(image.config.rootfs.diff_ids).map((chainId) => layers.describe(chainId)?.bytes ?? 0),
    }),
    readBlob: (digest) => blobs.read(digest),
    ensureEmbedded: () => ensureEmbeddedBusybox(engine),
    collectLayers: () => collectLayers(engine),
    restore: () => restoreImages(engine),
  };
}

function ancestorsOf(store: ImageStore, image: Image): Image[] {
  const parent = image.parent === undefined ? undefined : store.record(image.parent);
  if (parent === undefined) return [];
  const found = store.image(parent);
  return [found, ...ancestorsOf(store, found)];
}

/** Layers that an image names or an operation under way counts on. Those under containers the driver keeps by itself. */
export function layersInUse(engine: ImageEngine): Set<string> {
  const named = engine.store.records().flatMap((record) => chainIdsOf(record.config.rootfs.diff_ids));
  return new Set([...named, ...[...engine.pinned].flatMap((pin) => [...pin.held])]);
}

/** Blobs that an image names or an operation under way counts on. */
export function blobsInUse(engine: ImageEngine): Set<string> {
  const named = engine.store.records().flatMap((record) => [record.id, ...record.manifests]);
  return new Set([...named, ...[...engine.pinned].flatMap((pin) => [...pin.held])]);
}

function createPin(pinned: Set<Pin>): Pin {
  const held = new Set<string>();
  const pin: Pin = { hold: (digest) => void held.add(digest), held, [Symbol.dispose]: () => void pinned.delete(pin) };
  pinned.add(pin);
  return pin;
}

/** What is only kept for the layers that are here goes with those that went. */
export async function forgetMissingLayers(engine: ImageEngine): Promise<void> {
  const here = new Set(engine.layers.list().flatMap((chainId) => engine.layers.describe(chainId)?.diffId ?? []));
  engine.layerDigests.keepOnly(here);
  await engine.packedLayers.keepOnly(here);
}

export async function collectLayers(engine: ImageEngine): Promise<void> {
  const inUse = layersInUse(engine);
  const depth = (chainId: string): number => {
    let layers = 0;
    for (let next: string | undefined = chainId; next !== undefined; next = engine.layers.describe(next)?.parent) layers += 1;
    return layers;
  };
  const unneeded = engine.layers.list().filter((chainId) => !inUse.has(chainId));
  if (unneeded.length === 0) return;
  const topmostFirst = unneeded.map((chainId) => ({ chainId, depth: depth(chainId) })).toSorted((a, b) => b.depth - a.depth);
  await engine.layers.remove(topmostFirst.map(({ chainId }) => chainId));
  await forgetMissingLayers(engine);
}

/** A crash between the steps of a pull, import or removal leaves layers and blobs that no image names: they go. */
async function restoreImages(engine: ImageEngine): Promise<void> {
  await engine.packedLayers.restore();
  await collectLayers(engine);
  await forgetMissingLayers(engine);
  const inUse = blobsInUse(engine);
  for (const digest of await engine.blobs.list()) await engine.blobs.remove(digest, () => inUse.has(digest));
  await engine.blobs.removeTemporary();
  await engine.blobs.expirePartial(engine.downloads.inUse());
}

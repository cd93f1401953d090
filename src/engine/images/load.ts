import { rm } from "node:fs/promises";

import { EngineError } from "../../base/errors.ts";
import { failpoint } from "../../base/failpoint.ts";
import { writeChunks } from "../../base/write-chunks.ts";
import { digestOf } from "../../store/blobs.ts";
import { addImage } from "./add-image.ts";
import { readDockerArchive, type ArchivedImage } from "./archives/docker-archive.ts";
import { openImageArchive, type ImageArchive } from "./archives/image-archive.ts";
import { legacyConfig, readLegacyArchive, type LegacyImage } from "./archives/legacy-archive.ts";
import { readOciLayout } from "./archives/oci-layout.ts";
import { parseImageConfig, type ImageConfig } from "./image-config.ts";
import type { ImageRecord } from "./image-store.ts";
import type { LoadRequest, ProgressLine } from "./images.ts";
import { loadLayers, loadUnknownLayers } from "./load-layers.ts";
import type { ImageEngine } from "./open-images.ts";
import { choosePlatform, type Platform } from "./platform.ts";
import { familiarReference, fullReference, parseReference, type Reference } from "./reference.ts";

/** What loading one archive works with. */
export interface Loading {
  engine: ImageEngine;
  archive: ImageArchive;
  quiet: boolean;
  platform: Platform | undefined;
  progress: (line: ProgressLine) => void;
  signal: AbortSignal;
}

/**
 * `POST /images/load`: the archive is put into a file, a child says what is where in it, and layers that are missing are unpacked from their
 * places in it. Each image is made known when its layers are durable; what was loaded before another fails stays, as with Docker.
 */
export async function loadImages(
  engine: ImageEngine,
  { archive: bytes, quiet, platform }: LoadRequest,
  progress: (line: ProgressLine) => void,
  signal: AbortSignal,
): Promise<void> {
  const archivePath = engine.blobs.temporaryPath();
  try {
    using _ready = engine.children.keepReady("indexImages");
    // Not by a pipeline, which on a full disk would close the client's connection instead of telling it.
    await writeChunks(archivePath, bytes, signal);
    failpoint("images.load.received");
    await using archive = await openImageArchive(engine.children, archivePath, engine.blobs.temporaryPath, signal);
    const loading: Loading = { engine, archive, quiet, platform, progress, signal };
    if (archive.find("manifest.json") !== undefined) await loadAll(loading, await readDockerArchive(archive));
    else if (archive.find("index.json") !== undefined) await loadAll(loading, await readOciLayout(archive, platform));
    else if (archive.find("repositories") !== undefined) await loadLegacy(loading, await readLegacyArchive(archive));
    else {
      throw new EngineError(
        "invalid",
        "the archive holds no images: it has neither manifest.json nor index.json nor repositories (docker import makes an image of a file system)",
      );
    }
  } finally {
    await rm(archivePath, { force: true });
  }
}

async function loadAll(loading: Loading, images: ArchivedImage[]): Promise<void> {
  const loaded: { record: ImageRecord; parent: string | undefined }[] = [];
  let hasNames = false;
  for (const { configBytes, layers, names, parent } of images) {
    const config = parseImageConfig(configBytes);
    if (!isWanted(config, loading.platform)) continue;
    const diffIds = config.rootfs.diff_ids;
    if (layers.length !== diffIds.length) {
      throw new EngineError("invalid", `invalid manifest, layers length mismatch: expected ${layers.length}, got ${diffIds.length}`);
    }
    using pin = loading.engine.pin();
    await loadLayers(loading, layers, diffIds, pin);
    loaded.push({ record: await add(loading, configBytes, names), parent });
    hasNames = names.length > 0;
  }
  await linkParents(loading.engine, loaded);
  // As in Docker: the ids of all of them, when the last has no name.
  if (!hasNames) for (const { record } of loaded) say(loading, `Loaded image ID: ${record.id}`);
}

async function loadLegacy(loading: Loading, images: LegacyImage[]): Promise<void> {
  for (const image of images) {
    using pin = loading.engine.pin();
    const diffIds = await loadUnknownLayers(
      loading,
      image.layers.map(({ layer }) => layer),
      pin,
    );
    const configBytes = legacyConfig(image, diffIds);
    if (isWanted(parseImageConfig(configBytes), loading.platform)) await add(loading, configBytes, image.names);
  }
}

function isWanted(config: ImageConfig, platform: Platform | undefined): boolean {
  if (config.os !== "linux") throw new EngineError("invalid", `cannot load ${config.os} image on linux`);
  return platform === undefined || choosePlatform(platform, [config]) !== undefined;
}

async function add(loading: Loading, configBytes: Buffer, names: string[]): Promise<ImageRecord> {
  const { engine } = loading;
  const references = names.map(taggedReference);
  for (const reference of references) {
    const before = engine.store.byReference(fullReference(reference));
    if (before === undefined || before === digestOf(configBytes)) continue;
    say(loading, `The image ${familiarReference(reference)} already exists, renaming the old one with ID ${before} to empty string`);
  }
  const isTagged = references.length > 0;
  const record = await addImage(engine, { configBytes, manifests: [], references: references.map(fullReference), isTagged });
  failpoint("images.load.added");
  for (const reference of references) say(loading, `Loaded image: ${familiarReference(reference)}`);
  engine.announce("load", record.id, record.id, record.config);
  return record;
}

function taggedReference(name: string): Reference {
  const reference = parseReference(name);
  if (reference.tag === undefined) throw new EngineError("invalid", `invalid tag ${JSON.stringify(name)}`);
  return reference;
}

function say({ progress }: Loading, text: string): void {
  progress({ stream: `${text}\n` });
}

/** An image is another's child when both are in the archive and it has that one's history and one step more. */
async function linkParents(engine: ImageEngine, loaded: { record: ImageRecord; parent: string | undefined }[]): Promise<void> {
  const put = loaded.flatMap(({ record, parent }) => {
    const above = loaded.find((other) => other.record.id === parent && other.record.id !== record.id)?.record;
    if (above === undefined) return [];
    if (!isStepAfter(record.config, above.config)) {
      throw new EngineError("invalid", `image ${above.id} is not a valid parent for ${record.id}`);
    }
    return [{ ...record, parent: above.id }];
  });
  if (put.length === 0) return;
  engine.store.change({ put });
  await engine.store.durable();
}

function isStepAfter({ history = [] }: ImageConfig, { history: before = [] }: ImageConfig): boolean {
  if (history.length === 0 && before.length === 0) return true;
  return history.length === before.length + 1 && JSON.stringify(history.slice(0, -1)) === JSON.stringify(before);
}

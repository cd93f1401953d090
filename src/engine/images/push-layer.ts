import { failpoint } from "../../base/failpoint.ts";
import type { KnownDigest } from "./layer-digests.ts";
import { retryLine, type TellLayer } from "./layer-jobs.ts";
import type { ImageEngine } from "./open-images.ts";
import { fullName, type Reference } from "./reference.ts";
import type { Descriptor } from "./registry/manifest.ts";
import type { RegistrySession } from "./registry/registry-session.ts";
import {
  blobSize,
  cancelUpload,
  DigestRefusedError,
  mountBlob,
  sendGrowing,
  tryBeginUpload,
  uploadBlob,
  type BlobToSend,
  type Upload,
} from "./registry/upload.ts";

export interface LayerToPush {
  diffId: string;
  chainId: string;
}

const LAYER_TYPE = "application/vnd.docker.image.rootfs.diff.tar.gzip";
/** Digests that are asked for before a layer is sent, and repositories that it may be mounted from. */
const MAX_ASKED = 4;
const MAX_MOUNTS = 3;

/**
 * Sees to it that a repository has a layer, by the cheapest way there is: it has it already, it takes it over from another repository, or it
 * is sent, packed if it has not been packed before.
 */
export async function pushLayer(
  engine: ImageEngine,
  session: RegistrySession,
  reference: Reference,
  layer: LayerToPush,
  tell: TellLayer,
  signal: AbortSignal,
): Promise<Descriptor> {
  const repository = fullName(reference);
  const has = (digest: string, sizeBytes: number, status: string): Descriptor => {
    engine.layerDigests.add(layer.diffId, { digest, sizeBytes, repository });
    tell({ status, progressDetail: {} });
    return { mediaType: LAYER_TYPE, digest, sizeBytes };
  };
  const known = engine.layerDigests.of(layer.diffId);
  const there = await findThere(engine, session, repository, layer.diffId, known, signal);
  if (there !== undefined) return has(there.digest, there.sizeBytes, "Layer already exists");
  const taken = await mountFromOthers(engine, session, reference, layer.diffId, known, signal);
  if (taken?.mounted !== undefined) {
    const { digest, sizeBytes, repository: from } = taken.mounted;
    return has(digest, sizeBytes, `Mounted from ${from.slice(reference.domain.length + 1)}`);
  }
  const { digest, sizeBytes } = await sendLayer(engine, session, layer, taken?.begun, tell, signal);
  return has(digest, sizeBytes, "Pushed");
}

/** Under one of the digests that we know of. */
async function findThere(
  engine: ImageEngine,
  session: RegistrySession,
  repository: string,
  diffId: string,
  known: KnownDigest[],
  signal: AbortSignal,
): Promise<{ digest: string; sizeBytes: number } | undefined> {
  const isHere = (one: KnownDigest): boolean => one.repository === repository;
  const packed = engine.packedLayers.find(diffId)?.digest;
  const ownFirst = [...known.filter(isHere), ...known.filter((one) => !isHere(one))].map(({ digest }) => digest);
  const digests = [...new Set([...ownFirst, ...(packed === undefined ? [] : [packed])])].slice(0, MAX_ASKED);
  for (const digest of digests) {
    const sizeBytes = await blobSize(session, digest, signal);
    if (sizeBytes !== undefined) return { digest, sizeBytes };
    for (const one of known) if (isHere(one) && one.digest === digest) engine.layerDigests.forget(diffId, one);
  }
  return undefined;
}

/** Mounts it from another repository of the same registry; otherwise gives the upload that the registry began instead. */
async function mountFromOthers(
  engine: ImageEngine,
  session: RegistrySession,
  reference: Reference,
  diffId: string,
  known: KnownDigest[],
  signal: AbortSignal,
): Promise<{ mounted?: KnownDigest; begun?: Upload } | undefined> {
  const prefix = `${reference.domain}/`;
  const others = known.filter(({ repository }) => repository.startsWith(prefix) && repository !== fullName(reference));
  let begun: Upload | undefined;
  for (const other of others.slice(0, MAX_MOUNTS)) {
    let answer: "mounted" | Upload | undefined;
    try {
      answer = await mountBlob(session, other.digest, other.repository.slice(prefix.length), signal);
    } catch (error) {
      signal.throwIfAborted();
      // Whatever is wrong with the registry the upload will meet too, and tell.
      if (!(error instanceof Error)) throw error;
    }
    if (answer === "mounted") {
      if (begun !== undefined) await cancelUpload(session, begun, signal);
      return { mounted: other };
    }
    if (answer === undefined) continue;
    // It answered that it has none there.
    engine.layerDigests.forget(diffId, other);
    if (begun === undefined) begun = answer;
    else await cancelUpload(session, answer, signal);
  }
  return begun && { begun };
}

async function sendLayer(
  engine: ImageEngine,
  session: RegistrySession,
  layer: LayerToPush,
  begun: Upload | undefined,
  tell: TellLayer,
  signal: AbortSignal,
): Promise<BlobToSend> {
  const context = { session, children: engine.children, settings: engine.registry };
  // As Docker has it, until it is known how much there is to send.
  let total = engine.layers.describe(layer.chainId)?.bytes ?? 0;
  const telling = {
    bytes: (current: number): void => tell({ status: "Pushing", progressDetail: { current, total } }),
    retry: (pauseMs: number): void => tell({ status: retryLine(pauseMs), progressDetail: {} }),
  };
  const pack = async (upload: Upload | undefined): Promise<BlobToSend> => {
    const giveUp = new AbortController();
    let sending: Promise<void> | undefined;
    const send = (path: string): void => {
      if (upload !== undefined) sending = sendGrowing(context, path, upload, telling, AbortSignal.any([signal, giveUp.signal]));
    };
    try {
      return await engine.packedLayers.get(layer, signal, send);
    } catch (error) {
      giveUp.abort(error);
      throw error;
    } finally {
      await sending;
    }
  };
  const send = async (upload: Upload | undefined): Promise<BlobToSend> => {
    const packed = await pack(upload);
    failpoint("images.push.packed");
    total = packed.sizeBytes;
    await uploadBlob(context, packed, upload, telling, signal);
    failpoint("images.push.uploaded");
    return packed;
  };
  try {
    // Nothing is packed for a registry that does not want it.
    return await send(begun ?? (await tryBeginUpload(session, signal)));
  } catch (error) {
    if (!(error instanceof DigestRefusedError)) throw error;
    // It was damaged here, or on its way: once more from the layer itself.
    await engine.packedLayers.discard(layer.diffId);
    return await send(undefined);
  }
}

import { EngineError } from "../../base/errors.ts";
import { failpoint } from "../../base/failpoint.ts";
import { shortId } from "../../base/ids.ts";
import { digestOf } from "../../store/blobs.ts";
import { findRecord, getRecord, getRecordFor } from "./find.ts";
import { chainIdsOf, type ImageRecord } from "./image-store.ts";
import type { ProgressLine, PushRequest } from "./images.ts";
import { collectLayers, type ImageEngine } from "./open-images.ts";
import { pushLayer, type LayerToPush } from "./push-layer.ts";
import { familiarName, familiarReference, fullName, fullReference, parseReference, withDigest, type Reference } from "./reference.ts";
import { RefusedError } from "./registry/authorizer.ts";
import { endpointsOf } from "./registry/endpoints.ts";
import type { Descriptor } from "./registry/manifest.ts";
import { pushError } from "./registry/registry-errors.ts";
import { isNetworkFailure, openSession, type RegistrySession } from "./registry/registry-session.ts";
import { blobSize, uploadBlob } from "./registry/upload.ts";

/**
 * `POST /images/{name}/push`: one tag, or all that a repository has here. As Docker does it, images go out as schema 2 manifests over gzip'ed
 * layers; the uppermost layer is told of first.
 */
export async function pushImage(
  engine: ImageEngine,
  request: PushRequest,
  progress: (line: ProgressLine) => void,
  signal: AbortSignal = new AbortController().signal,
): Promise<void> {
  const reference = parseReference(request.reference);
  if (request.platform !== undefined) getRecordFor(engine.store, request.reference, request.platform);
  progress({ status: `The push refers to repository [${fullName(reference)}]` });
  const images = imagesToPush(engine, reference);
  engine.children.warm();
  const pin = engine.pin();
  for (const { record } of images) {
    for (const digest of [record.id, ...chainIdsOf(record.config.rootfs.diff_ids)]) pin.hold(digest);
  }
  try {
    const session = await connect(engine, reference, request, signal);
    for (const image of images) await pushOne(engine, session, image, progress, signal);
  } catch (error) {
    throw error instanceof RefusedError ? new EngineError("system", error.message, { cause: error }) : error;
  } finally {
    pin[Symbol.dispose]();
    // An image that was removed meanwhile has left its layers to us.
    if (images.some(({ record }) => engine.store.record(record.id) === undefined)) await collectLayers(engine);
  }
  engine.announce("push", familiarReference(reference), familiarName(reference), findRecord(engine.store, request.reference)?.config);
}

interface ImageToPush {
  reference: Reference;
  record: ImageRecord;
}

function imagesToPush(engine: ImageEngine, reference: Reference): ImageToPush[] {
  const ofRepository = engine.store.referencesOfRepository(fullName(reference));
  const shown = familiarName(reference);
  if (ofRepository.length === 0) throw new EngineError("notFound", `An image does not exist locally with the tag: ${shown}`);
  if (reference.digest !== undefined) throw new EngineError("invalid", "cannot push a digest reference");
  const tagged = ofRepository.filter(({ tag }) => tag !== undefined);
  const wanted = reference.tag === undefined ? tagged : tagged.filter(({ tag }) => tag === reference.tag);
  if (wanted.length === 0) {
    const isNamed = reference.tag !== undefined;
    throw new EngineError("notFound", isNamed ? `tag does not exist: ${familiarReference(reference)}` : `no tags to push for ${shown}`);
  }
  return wanted.map((one) => ({ reference: one, record: getRecord(engine.store, fullReference(one)) }));
}

/** The first endpoint that is there. A mirror takes nothing. */
async function connect(engine: ImageEngine, reference: Reference, { auth }: PushRequest, signal: AbortSignal): Promise<RegistrySession> {
  let failure: unknown;
  for (const endpoint of await endpointsOf(reference.domain, { ...engine.registry, mirrors: [] })) {
    const session = openSession({ reference, endpoint, auth, pushes: true, children: engine.children, settings: engine.registry });
    try {
      await session.ping(signal);
      return session;
    } catch (error) {
      signal.throwIfAborted();
      if (!isNetworkFailure(error)) throw error;
      failure = error;
    }
  }
  throw failure;
}

async function pushOne(
  engine: ImageEngine,
  session: RegistrySession,
  { reference, record }: ImageToPush,
  progress: (line: ProgressLine) => void,
  signal: AbortSignal,
): Promise<void> {
  const layers = await pushLayers(engine, session, reference, record, progress, signal);
  const config = await pushConfig(engine, session, record, signal);
  failpoint("images.push.layers");
  const bytes = manifestOf(config, layers);
  const digest = digestOf(bytes);
  const url = `/manifests/${reference.tag}`;
  const response = await session.ask(
    { method: "PUT", url, headers: { "content-type": MANIFEST_TYPE }, body: bytes.toString("utf8") },
    signal,
  );
  if (response.status < 200 || response.status >= 300) throw pushError(response);
  failpoint("images.push.manifest");
  if (engine.store.record(record.id) !== undefined) {
    engine.store.change({ refer: [{ reference: fullReference(withDigest(reference, digest)), image: record.id }] });
    await engine.store.durable();
  }
  progress({ status: `${reference.tag}: digest: ${digest} size: ${bytes.length}` });
  progress({ progressDetail: {}, aux: { Tag: reference.tag, Digest: digest, Size: bytes.length } });
}

/** All layers at once, as far as there are turns. One that fails ends the others. */
async function pushLayers(
  engine: ImageEngine,
  session: RegistrySession,
  reference: Reference,
  record: ImageRecord,
  progress: (line: ProgressLine) => void,
  signal: AbortSignal,
): Promise<Descriptor[]> {
  const diffIds = record.config.rootfs.diff_ids;
  const chainIds = chainIdsOf(diffIds);
  // Layers may be the same; each is sent once.
  const topmostFirst = new Map<string, LayerToPush>();
  for (const [at, diffId] of [...diffIds.entries()].toReversed()) {
    const chainId = chainIds[at];
    if (chainId !== undefined && !topmostFirst.has(diffId)) topmostFirst.set(diffId, { diffId, chainId });
  }
  for (const diffId of topmostFirst.keys()) progress({ id: shortId(diffId), status: "Preparing", progressDetail: {} });

  const giveUp = new AbortController();
  const together = AbortSignal.any([signal, giveUp.signal]);
  const pushing = [...topmostFirst.values()].map(async (layer) => {
    const tell = (line: Omit<ProgressLine, "id">): void => progress({ id: shortId(layer.diffId), ...line });
    const waits = (): void => tell({ status: "Waiting", progressDetail: {} });
    const work = (): Promise<Descriptor> =>
      // Of two pushes at once the second finds what the first has sent.
      engine.locks.run(`upload ${fullName(reference)} ${layer.diffId}`, () => pushLayer(engine, session, reference, layer, tell, together));
    return [layer.diffId, await engine.uploadTurns.run(work, waits, together)] as const;
  });
  try {
    const pushed = new Map(await Promise.all(pushing));
    return diffIds.flatMap((diffId) => pushed.get(diffId) ?? []);
  } catch (error) {
    giveUp.abort(new EngineError("system", "canceled"));
    await Promise.allSettled(pushing);
    signal.throwIfAborted();
    throw error;
  }
}

async function pushConfig(engine: ImageEngine, session: RegistrySession, record: ImageRecord, signal: AbortSignal): Promise<Descriptor> {
  const sizeBytes = (await engine.blobs.read(record.id)).length;
  if ((await blobSize(session, record.id, signal)) === undefined) {
    const blob = { digest: record.id, sizeBytes, path: engine.blobs.path(record.id) };
    const silent = { bytes: () => undefined, retry: () => undefined };
    await uploadBlob({ session, children: engine.children, settings: engine.registry }, blob, undefined, silent, signal);
  }
  return { mediaType: "application/vnd.docker.container.image.v1+json", digest: record.id, sizeBytes };
}

const MANIFEST_TYPE = "application/vnd.docker.distribution.manifest.v2+json";

/** With Docker's order and indentation, so that the same layers give the same digest. */
function manifestOf(config: Descriptor, layers: Descriptor[]): Buffer {
  const plain = ({ mediaType, digest, sizeBytes }: Descriptor): unknown => ({ mediaType, size: sizeBytes, digest });
  const manifest = { schemaVersion: 2, mediaType: MANIFEST_TYPE, config: plain(config), layers: layers.map(plain) };
  return Buffer.from(JSON.stringify(manifest, null, 3));
}

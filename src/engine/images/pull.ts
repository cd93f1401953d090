import { EngineError } from "../../base/errors.ts";
import { failpoint } from "../../base/failpoint.ts";
import { shortId } from "../../base/ids.ts";
import type { FinishedLayer, StagedLayer } from "../../store/layers.ts";
import { addImage, unpackInto } from "./add-image.ts";
import { parseImageConfig, type ImageConfig } from "./image-config.ts";
import { chainIdsOf } from "./image-store.ts";
import type { ProgressLine, PullRequest } from "./images.ts";
import type { ImageEngine, Pin } from "./open-images.ts";
import { choosePlatform, formatPlatform, hostPlatform, normalizePlatform, type Platform } from "./platform.ts";
import { familiarName, familiarReference, fullReference, parseReference, withDigest, withTag, type Reference } from "./reference.ts";
import { endpointsOf } from "./registry/endpoints.ts";
import { parseManifest, type Descriptor } from "./registry/manifest.ts";
import { isNetworkFailure, openSession, type RegistrySession } from "./registry/registry-session.ts";

type Progress = (line: ProgressLine) => void;

/**
 * `POST /images/create?fromImage=…`: asks the endpoints of the reference's registry in order until one answers. Without tag and digest
 * all tags are pulled, as the API has it (the CLI always names one).
 */
export async function pullImage(engine: ImageEngine, request: PullRequest, progress: Progress, signal?: AbortSignal): Promise<void> {
  const reference = parseReference(request.reference);
  const endpoints = await endpointsOf(reference.domain, engine.registry);
  engine.children.warm();
  let failure: unknown;
  for (const endpoint of endpoints) {
    const session = openSession({ reference, endpoint, auth: request.auth, children: engine.children, settings: engine.registry });
    try {
      await session.ping(signal);
      const tags = reference.tag === undefined && reference.digest === undefined ? await session.listTags(signal) : [undefined];
      for (const tag of tags) {
        await pullOne(engine, session, tag === undefined ? reference : withTag(reference, tag), request, progress, signal);
      }
      return;
    } catch (error) {
      signal?.throwIfAborted();
      if (!isNetworkFailure(error) && !endpoint.isMirror) throw error;
      failure = error;
    }
  }
  throw failure;
}

/** One image from one endpoint: manifest, config, layers, record. */
async function pullOne(
  engine: ImageEngine,
  session: RegistrySession,
  reference: Reference,
  request: PullRequest,
  progress: Progress,
  signal: AbortSignal | undefined,
): Promise<void> {
  const tagOrDigest = reference.digest ?? reference.tag ?? "latest";
  const found = await findImage(session, reference, tagOrDigest, request, signal);
  progress({ id: tagOrDigest, status: `Pulling from ${reference.path}` });
  const names = [withDigest({ ...reference, tag: undefined }, found.digest)];
  if (reference.digest === undefined) names.push(withTag(reference, tagOrDigest));
  const fullNames = names.map(fullReference);
  const isNew = fullNames.some((name) => engine.store.byReference(name) !== found.config.digest);

  if (engine.store.record(found.config.digest) === undefined || isNew) {
    const configBytes = await session.getBlob(found.config.digest, signal);
    const config = parseImageConfig(configBytes);
    checkImage(config, found.layers, reference, request);
    using pin = engine.pin();
    await bringLayers(engine, session, reference, { layers: found.layers, config }, pin, progress, signal);
    failpoint("images.pull.layers");
    const record = await addImage(engine, { configBytes, manifests: found.manifests, references: fullNames });
    engine.announce("pull", familiarReference(reference), familiarName(reference), record.config);
  }
  progress({ status: `Digest: ${found.digest}` });
  const familiar = familiarReference(reference.digest === undefined ? withTag(reference, tagOrDigest) : reference);
  progress({ status: `Status: ${isNew ? "Downloaded newer image" : "Image is up to date"} for ${familiar}` });
}

interface FoundImage {
  /** Of what the reference names: the index, where there is one. */
  digest: string;
  manifests: Buffer[];
  config: Descriptor;
  layers: Descriptor[];
}

/** From a tag or digest to the image for the platform that is wanted. */
async function findImage(
  session: RegistrySession,
  reference: Reference,
  tagOrDigest: string,
  request: PullRequest,
  signal: AbortSignal | undefined,
): Promise<FoundImage> {
  const top = await session.getManifest(tagOrDigest, signal);
  const manifest = parseManifest(top.bytes, top.contentType);
  if (manifest.kind === "image") return { digest: top.digest, manifests: [top.bytes], config: manifest.config, layers: manifest.layers };

  const wanted = normalizePlatform(request.platform ?? hostPlatform());
  const index = choosePlatform(
    wanted,
    manifest.manifests.map(({ platform }) => platform),
  );
  const chosen = index === undefined ? undefined : manifest.manifests[index];
  if (chosen === undefined) {
    throw new EngineError("notFound", `no matching manifest for ${formatPlatform(wanted)} in the manifest list entries`);
  }
  const own = await session.getManifest(chosen.digest, signal);
  const image = parseManifest(own.bytes, own.contentType);
  if (image.kind !== "image") {
    throw new EngineError("invalid", `invalid manifest: ${chosen.digest} of ${familiarReference(reference)} is an index inside an index`);
  }
  return { digest: top.digest, manifests: [top.bytes, own.bytes], config: image.config, layers: image.layers };
}

function checkImage(config: ImageConfig, layers: Descriptor[], reference: Reference, request: PullRequest): void {
  if (config.os !== "linux") throw new EngineError("invalid", `image operating system "${config.os}" cannot be used on this platform`);
  if (config.rootfs.diff_ids.length !== layers.length)
    throw new EngineError("invalid", "layers from manifest don't match image configuration");
  if (request.platform === undefined) return;
  const actual: Platform = { os: config.os, architecture: config.architecture, variant: config.variant };
  if (choosePlatform(request.platform, [actual]) === undefined) {
    throw new EngineError(
      "notFound",
      `image with reference ${familiarReference(reference)} was found but its platform (${formatPlatform(actual)}) does not match the specified platform (${formatPlatform(normalizePlatform(request.platform))})`,
    );
  }
}

/** Downloads and unpacks what is missing, several layers at once, and makes all of it durable together. */
async function bringLayers(
  engine: ImageEngine,
  session: RegistrySession,
  reference: Reference,
  { layers, config }: { layers: Descriptor[]; config: ImageConfig },
  pin: Pin,
  progress: Progress,
  signal: AbortSignal | undefined,
): Promise<void> {
  const diffIds = config.rootfs.diff_ids;
  const chainIds = chainIdsOf(diffIds);
  for (const chainId of chainIds) pin.hold(chainId);
  const failed = new AbortController();
  const either = signal === undefined ? failed.signal : AbortSignal.any([signal, failed.signal]);
  const staged: StagedLayer[] = [];
  const jobs: Promise<FinishedLayer>[] = [];
  let below: StagedLayer | string | undefined;
  try {
    for (const [index, layer] of layers.entries()) {
      const chainId = chainIds[index] ?? "";
      const diffId = diffIds[index] ?? "";
      const parent = index === 0 ? undefined : chainIds[index - 1];
      if (engine.layers.has(chainId)) {
        progress({ id: shortId(layer.digest), status: "Already exists" });
        below = chainId;
        continue;
      }
      progress({ id: shortId(layer.digest), status: "Pulling fs layer" });
      const own = await engine.layers.stage(below);
      staged.push(own);
      below = own;
      jobs.push(bringLayer(engine, { session, reference, layer, diffId, chainId, parent, staged: own }, progress, either));
    }
    // The first failure ends the others; all of them have ended before their folders go.
    for (const job of jobs) job.catch((error: unknown) => failed.abort(error));
    await Promise.allSettled(jobs);
    signal?.throwIfAborted();
    if (failed.signal.aborted) throw failed.signal.reason;
    failpoint("images.pull.unpacked");
    await engine.layers.commit(await Promise.all(jobs));
    for (const layer of layers.slice(layers.length - jobs.length))
      progress({ id: shortId(layer.digest), status: "Pull complete", progressDetail: {} });
  } finally {
    for (const own of staged) await own.abort();
  }
}

interface LayerJob {
  session: RegistrySession;
  reference: Reference;
  layer: Descriptor;
  diffId: string;
  chainId: string;
  parent: string | undefined;
  staged: StagedLayer;
}

async function bringLayer(engine: ImageEngine, job: LayerJob, progress: Progress, signal: AbortSignal): Promise<FinishedLayer> {
  const { layer, diffId, chainId, parent, staged } = job;
  const id = shortId(layer.digest);
  const total = layer.sizeBytes;
  const download = await engine.downloads.fetch(
    {
      session: job.session,
      reference: job.reference,
      layer,
      onWaiting: () => progress({ id, status: "Waiting", progressDetail: {} }),
      onBytes: (current) => progress({ id, status: "Downloading", progressDetail: { current, total } }),
    },
    signal,
  );
  try {
    progress({ id, status: "Verifying Checksum", progressDetail: {} });
    progress({ id, status: "Download complete", progressDetail: {} });
    const result = await unpackInto(
      engine,
      staged,
      {
        path: download.path,
        what: `unpacking layer ${id}`,
        progress: (current) => progress({ id, status: "Extracting", progressDetail: { current, total } }),
      },
      signal,
    );
    progress({ id, status: "Extracting", progressDetail: { current: total, total } });
    if (result.diffId !== diffId) {
      throw new EngineError(
        "invalid",
        `layers from manifest don't match image configuration: layer ${layer.digest} unpacks to ${result.diffId}, not to ${diffId}`,
      );
    }
    return { staged, chainId, parent, diffId, bytes: result.bytes };
  } finally {
    await download.release();
  }
}

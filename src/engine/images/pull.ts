import { failpoint } from "../../base/failpoint.ts";
import { addImage } from "./add-image.ts";
import { fetchConfig, findRemote, platformWarning, type RemoteImage } from "./find-remote.ts";
import type { ImageConfig } from "./image-config.ts";
import { chainIdsOf } from "./image-store.ts";
import type { Pin, ProgressLine, PullRequest } from "./images.ts";
import type { ImageEngine } from "./open-images.ts";
import { pullLayers } from "./pull-layers.ts";
import { familiarName, familiarReference, fullReference, parseReference, withDigest, withTag, type Reference } from "./reference.ts";
import { endpointsOf } from "./registry/endpoints.ts";
import { isNetworkFailure, openSession, type RegistrySession } from "./registry/registry-session.ts";

/**
 * `POST /images/create?fromImage=…`: asks the endpoints of the reference's registry in order until one answers. Without tag and digest
 * all tags are pulled, as the API has it (the CLI always names one).
 */
export async function pullImage(
  engine: ImageEngine,
  request: PullRequest,
  progress: (line: ProgressLine) => void,
  signal: AbortSignal = new AbortController().signal,
): Promise<void> {
  const reference = parseReference(request.reference);
  engine.children.warm();
  await engine.blobs.expirePartial(engine.downloads.inUse());
  let failure: unknown;
  for (const endpoint of await endpointsOf(reference.domain, engine.registry)) {
    const session = openSession({ reference, endpoint, auth: request.auth, children: engine.children, settings: engine.registry });
    let isThere = false;
    try {
      await session.ping(signal);
      isThere = true;
      await pullTags(engine, session, reference, request, progress, signal);
      return;
    } catch (error) {
      signal.throwIfAborted();
      // The next endpoint may do better where this one is not there at all, or is only a mirror.
      if (!endpoint.isMirror && (isThere || !isNetworkFailure(error))) throw error;
      failure = error;
    }
  }
  throw failure;
}

async function pullTags(
  engine: ImageEngine,
  session: RegistrySession,
  reference: Reference,
  request: PullRequest,
  progress: (line: ProgressLine) => void,
  signal: AbortSignal,
): Promise<void> {
  const isNamed = reference.tag !== undefined || reference.digest !== undefined;
  const tags = isNamed ? [] : await session.listTags(signal);
  // With both, the digest decides, and the tag is not set.
  const wanted = isNamed
    ? [reference.digest === undefined ? reference : withDigest(reference, reference.digest)]
    : tags.map((tag) => withTag(reference, tag));
  let isNew = false;
  const warnings = new Set<string>();
  for (const one of wanted) {
    const pulled = await pullOne(engine, session, one, request, progress, signal);
    isNew ||= pulled.isNew;
    const warning = platformWarning(pulled.config, one, request.platform);
    if (warning !== undefined) warnings.add(warning);
  }
  progress({ status: `Status: ${isNew ? "Downloaded newer image" : "Image is up to date"} for ${familiarReference(reference)}` });
  for (const status of warnings) progress({ status });
}

/** One image from one endpoint: manifest, config, layers, record. `isNew`: the reference names another image than before. */
async function pullOne(
  engine: ImageEngine,
  session: RegistrySession,
  reference: Reference,
  request: PullRequest,
  progress: (line: ProgressLine) => void,
  signal: AbortSignal,
): Promise<{ isNew: boolean; config: ImageConfig }> {
  const image = await findRemote(engine, session, reference, request, signal);
  progress({
    id: reference.digest === undefined ? (reference.tag ?? "") : fullReference(reference),
    status: `Pulling from ${reference.path}`,
  });
  const names = [...new Set([fullReference(reference), fullReference(withDigest(reference, image.digest))])];
  const isNew = engine.store.byReference(fullReference(reference)) !== image.config.digest;
  const isNamed = names.every((name) => engine.store.byReference(name) === image.config.digest);

  let known = engine.store.record(image.config.digest);
  if (known === undefined || !isNamed) {
    using pin = engine.pin();
    // Without any waiting since it was found: from here on nobody removes it, or what it consists of.
    for (const digest of [image.config.digest, ...chainIdsOf(known?.config.rootfs.diff_ids ?? [])]) pin.hold(digest);
    const configBytes =
      known === undefined ? await bringImage(engine, session, image, reference, pin, progress, signal) : await engine.blobs.read(known.id);
    failpoint("images.pull.layers");
    known = await addImage(engine, { configBytes, manifests: image.manifests, references: names, isTagged: false });
    engine.announce("pull", familiarReference(reference), familiarName(reference), known.config);
  }
  progress({ status: `Digest: ${image.digest}` });
  return { isNew, config: known.config };
}

/** The config and the layers of an image that is not here; the config's bytes. */
async function bringImage(
  engine: ImageEngine,
  session: RegistrySession,
  image: RemoteImage,
  reference: Reference,
  pin: Pin,
  progress: (line: ProgressLine) => void,
  signal: AbortSignal,
): Promise<Buffer> {
  const { configBytes, config } = await fetchConfig(session, image, signal);
  await pullLayers(engine, { session, reference, layers: image.layers, diffIds: config.rootfs.diff_ids }, pin, progress, signal);
  return configBytes;
}

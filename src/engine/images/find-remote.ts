import { EngineError } from "../../base/errors.ts";
import { parseImageConfig, type ImageConfig } from "./image-config.ts";
import type { PullRequest } from "./images.ts";
import type { ImageEngine } from "./open-images.ts";
import { choosePlatform, formatPlatform, hostPlatform, normalizePlatform, platformMismatch, type Platform } from "./platform.ts";
import { familiarReference, type Reference } from "./reference.ts";
import { parseManifest, type Descriptor, type Manifest } from "./registry/manifest.ts";
import type { RegistrySession } from "./registry/registry-session.ts";

/** An image as its registry describes it. */
export interface RemoteImage {
  /** Digest of what the reference names: the index, where there is one. */
  digest: string;
  /** The manifest and, above it, the index; their exact bytes. */
  manifests: Buffer[];
  config: Descriptor;
  layers: Descriptor[];
}

/** From a tag or digest to the image for the platform that is wanted. The registry is asked in any case; what is here is not sent again. */
export async function findRemote(
  engine: ImageEngine,
  session: RegistrySession,
  reference: Reference,
  request: PullRequest,
  signal: AbortSignal,
): Promise<RemoteImage> {
  const top = await readManifest(engine, session, reference.digest ?? reference.tag ?? "latest", true, signal);
  if (top.manifest.kind === "image") return remoteOf(top.digest, [top.bytes], top.manifest);

  const wanted = normalizePlatform(request.platform ?? hostPlatform());
  const offered = top.manifest.manifests.map(({ platform }) => platform);
  const chosen = top.manifest.manifests[choosePlatform(wanted, offered) ?? -1];
  if (chosen === undefined) {
    throw new EngineError("notFound", `no matching manifest for ${formatPlatform(wanted)} in the manifest list entries`);
  }
  const own = await readManifest(engine, session, chosen.digest, false, signal);
  if (own.manifest.kind !== "image") {
    throw new EngineError("invalid", `invalid manifest: ${chosen.digest} of ${familiarReference(reference)} is an index inside an index`);
  }
  return remoteOf(top.digest, [own.bytes, top.bytes], own.manifest);
}

/** Fetches the config and checks that it is one for us. */
export async function fetchConfig(
  session: RegistrySession,
  image: RemoteImage,
  signal: AbortSignal,
): Promise<{ configBytes: Buffer; config: ImageConfig }> {
  const configBytes = await session.getBlob(image.config.digest, signal);
  const config = parseImageConfig(configBytes);
  if (config.os !== "linux") throw new EngineError("invalid", `image operating system "${config.os}" cannot be used on this platform`);
  if (config.rootfs.diff_ids.length !== image.layers.length) {
    throw new EngineError("invalid", "layers from manifest don't match image configuration");
  }
  return { configBytes, config };
}

/** What to tell of an image that came alone and is not for the platform that was asked for: Docker takes it all the same. */
export function platformWarning(config: ImageConfig, reference: Reference, asked: Platform | undefined): string | undefined {
  const mismatch = asked && platformMismatch(config, familiarReference(reference), asked);
  return mismatch && `WARNING: ${mismatch}`;
}

interface ReadManifest {
  digest: string;
  bytes: Buffer;
  manifest: Manifest;
}

/** `ask`: a HEAD first, which registries do not count against their limits; a manifest that is here already need not come again. */
async function readManifest(
  engine: ImageEngine,
  session: RegistrySession,
  tagOrDigest: string,
  ask: boolean,
  signal: AbortSignal,
): Promise<ReadManifest> {
  const digest = ask ? await session.resolve(tagOrDigest, signal) : tagOrDigest;
  const here = digest === undefined ? undefined : await readIfThere(engine, digest);
  if (digest !== undefined && here !== undefined) return { digest, bytes: here, manifest: parseManifest(here, undefined) };
  const received = await session.getManifest(tagOrDigest, signal);
  return { ...received, manifest: parseManifest(received.bytes, received.contentType) };
}

/** It may be removed at any moment, with the image it came with. */
async function readIfThere(engine: ImageEngine, digest: string): Promise<Buffer | undefined> {
  try {
    return await engine.blobs.read(digest);
  } catch (error) {
    if (error instanceof EngineError && error.kind === "notFound") return undefined;
    throw error;
  }
}

function remoteOf(digest: string, manifests: Buffer[], manifest: Manifest & { kind: "image" }): RemoteImage {
  return { digest, manifests, config: manifest.config, layers: manifest.layers };
}

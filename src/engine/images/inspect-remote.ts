import { EngineError } from "../../base/errors.ts";
import { digestOf } from "../../store/blobs.ts";
import type { RegistryAuth } from "./images.ts";
import type { ImageEngine } from "./open-images.ts";
import { isDigest, isIdentifier, parseReference, withDefaultTag, type Reference } from "./reference.ts";
import { RefusedError } from "./registry/authorizer.ts";
import { endpointsOf } from "./registry/endpoints.ts";
import { ACCEPTED_TYPES, parseManifest } from "./registry/manifest.ts";
import { inspectError } from "./registry/registry-errors.ts";
import { isNetworkFailure, openSession, type RegistrySession } from "./registry/registry-session.ts";

/** What a registry has under a reference. */
export interface RemoteDescription {
  mediaType: string;
  digest: string;
  sizeBytes: number;
  /** As the index, or the image's config, names them. */
  platforms: Record<string, unknown>[];
}

/** `GET /distribution/{name}/json`: asks the endpoints in order until one has it; nothing is pulled. */
export async function inspectRemote(
  engine: ImageEngine,
  name: string,
  auth: RegistryAuth | undefined,
  signal: AbortSignal = new AbortController().signal,
): Promise<RemoteDescription> {
  if (isIdentifier(name) || isDigest(name)) throw new EngineError("invalid", "no manifest found for full image ID");
  const reference = withDefaultTag(parseReference(name));
  let failure: unknown;
  for (const endpoint of await endpointsOf(reference.domain, engine.registry)) {
    const session = openSession({ reference, endpoint, auth, children: engine.children, settings: engine.registry });
    try {
      await session.ping(signal);
      return await describe(session, reference, signal);
    } catch (error) {
      signal.throwIfAborted();
      failure = error instanceof RefusedError ? new EngineError("system", error.message, { cause: error }) : error;
      if (!endpoint.isMirror && !isNetworkFailure(error)) break;
    }
  }
  throw failure;
}

async function describe(session: RegistrySession, reference: Reference, signal: AbortSignal): Promise<RemoteDescription> {
  const url = `/manifests/${reference.digest ?? reference.tag}`;
  const response = await session.ask({ method: "GET", url, headers: { accept: ACCEPTED_TYPES } }, signal);
  if (response.status !== 200) throw inspectError(response);
  const bytes = response.body;
  const digest = digestOf(bytes);
  if (reference.digest !== undefined && reference.digest !== digest)
    throw new EngineError("system", `manifest verification failed for digest ${reference.digest}`);
  const manifest = parseManifest(bytes, response.headers["content-type"]);
  // It was just seen to be an object.
  const document = JSON.parse(bytes.toString("utf8")) as { mediaType?: unknown; manifests?: { platform?: unknown }[] };
  const served = response.headers["content-type"]?.split(";", 1)[0] ?? "";
  const platforms =
    manifest.kind === "index"
      ? (document.manifests ?? []).map(({ platform }) => platform)
      : [JSON.parse((await session.getBlob(manifest.config.digest, signal)).toString("utf8")) as unknown];
  return {
    mediaType: typeof document.mediaType === "string" ? document.mediaType : served,
    digest,
    sizeBytes: bytes.length,
    platforms: platforms.flatMap(platformMembers),
  };
}

const MEMBERS = ["architecture", "os", "os.version", "os.features", "variant"];

function platformMembers(value: unknown): Record<string, unknown>[] {
  const members = typeof value === "object" && value !== null ? Object.entries(value) : [];
  const known = Object.fromEntries(members.filter(([name, member]) => MEMBERS.includes(name) && member !== "" && member !== null));
  return known["os"] === undefined && known["architecture"] === undefined ? [] : [known];
}

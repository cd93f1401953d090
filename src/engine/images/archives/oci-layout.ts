import { EngineError } from "../../../base/errors.ts";
import { choosePlatform, hostPlatform, type Platform } from "../platform.ts";
import { parseReference } from "../reference.ts";
import { parseManifest, type Descriptor } from "../registry/manifest.ts";
import type { ArchivedImage } from "./docker-archive.ts";
import { readBlob, type ImageArchive } from "./image-archive.ts";

/**
 * An OCI layout (image-spec, "Image Layout"), as skopeo, umoci, buildah, podman and containerd write it. An image's name stands in an
 * annotation of its entry in `index.json`: containerd's own says all of it, the spec's says all, or only the tag, which names nothing.
 */
export async function readOciLayout(archive: ImageArchive, platform: Platform | undefined): Promise<ArchivedImage[]> {
  const bytes = await archive.read("index.json");
  const index = parseManifest(bytes, "application/vnd.oci.image.index.v1+json");
  if (index.kind !== "index") throw new EngineError("invalid", "invalid index.json: it is no index");
  const annotations = annotationsOf(bytes);
  // One image under several names has an entry for each.
  const images = new Map<string, ArchivedImage>();
  for (const [at, descriptor] of index.manifests.entries()) {
    const names = namesIn(annotations[at] ?? {});
    const manifest = await chooseManifest(archive, descriptor, platform, 0);
    if (manifest === undefined) continue;
    const known = images.get(manifest.config.digest);
    if (known !== undefined) {
      known.names.push(...names);
      continue;
    }
    images.set(manifest.config.digest, {
      configBytes: await readBlob(archive, manifest.config.digest),
      layers: manifest.layers.map(({ digest }) => ({ name: `blobs/${digest.replace(":", "/")}`, digest })),
      names,
      parent: undefined,
    });
  }
  return [...images.values()];
}

interface ImageManifest {
  config: Descriptor;
  layers: Descriptor[];
}

const MAX_DEPTH = 4;

/** The image that a descriptor leads to; of several platforms the one that is wanted. Undefined for what is no image, as attestations. */
async function chooseManifest(
  archive: ImageArchive,
  { digest, mediaType }: Descriptor,
  platform: Platform | undefined,
  depth: number,
): Promise<ImageManifest | undefined> {
  if (depth > MAX_DEPTH) throw new EngineError("invalid", `the archive's indexes lie more than ${MAX_DEPTH} deep in each other`);
  const manifest = parseManifest(await readBlob(archive, digest), mediaType);
  if (manifest.kind === "image") return manifest;
  const chosen = choosePlatform(
    platform ?? hostPlatform(),
    manifest.manifests.map((entry) => entry.platform),
  );
  const entry = chosen === undefined ? undefined : manifest.manifests[chosen];
  if (entry === undefined) throw new EngineError("notFound", `the archive's index ${digest} has no image for this platform`);
  return chooseManifest(archive, entry, platform, depth + 1);
}

/** Of each entry; the index was parsed before. */
function annotationsOf(bytes: Buffer): Record<string, unknown>[] {
  const { manifests } = JSON.parse(bytes.toString("utf8")) as { manifests: { annotations?: Record<string, unknown> }[] };
  return manifests.map(({ annotations }) => annotations ?? {});
}

function namesIn(annotations: Record<string, unknown>): string[] {
  const names = ["io.containerd.image.name", "org.opencontainers.image.ref.name"].map((key) => annotations[key]);
  return names.filter((name) => typeof name === "string" && isWhole(name)).slice(0, 1) as string[]; // each was just seen to be a text
}

/** A name with its tag: `latest` alone would be a repository. */
function isWhole(name: string): boolean {
  try {
    return parseReference(name).tag !== undefined;
  } catch (error) {
    if (error instanceof EngineError) return false;
    throw error;
  }
}

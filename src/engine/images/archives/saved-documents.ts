import { digestOf } from "../../../store/blobs.ts";
import { familiarName, familiarReference, fullReference, type Reference } from "../reference.ts";

/**
 * The documents of an archive of images as Docker 28 writes it: an OCI layout (image-spec, "Image Layout") that also says in
 * `manifest.json` and `repositories` what it holds, for engines that know only those. Members stand in the order of Go's structs, maps in that of their keys, so that the
 * same images give the same bytes.
 */
export interface SavedImage {
  id: string;
  configBytes: Buffer;
  /** DiffIDs, lowest first. */
  layers: string[];
  /** Those that were asked for, with their tags. */
  references: Reference[];
  /** When it is saved too. */
  parent: string | undefined;
}

export interface Document {
  name: string;
  content: Buffer;
}

const LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar";
const MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json";

export function blobName(digest: string): string {
  return `blobs/${digest.replace(":", "/")}`;
}

/** All of an archive but its layers; `sizes`: of the layers' tars, by diffID. */
export function documentsOf(images: SavedImage[], sizes: ReadonlyMap<string, number>): Document[] {
  const layerOf = (digest: string) => ({ mediaType: LAYER_TYPE, size: sizes.get(digest) ?? 0, digest });
  const manifests = images.map((image) => {
    const config = { mediaType: "application/vnd.oci.image.config.v1+json", digest: image.id, size: image.configBytes.length };
    const layers = image.layers.map((digest) => ({ mediaType: LAYER_TYPE, digest, size: sizes.get(digest) ?? 0 }));
    return Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: MANIFEST_TYPE, config, layers }));
  });
  const items = images.map(({ id, parent, references, layers }) => ({
    Config: blobName(id),
    RepoTags: references.length === 0 ? null : references.map(familiarReference),
    Layers: layers.length === 0 ? null : layers.map(blobName),
    ...(parent === undefined ? {} : { Parent: parent }),
    ...(layers.length === 0 ? {} : { LayerSources: Object.fromEntries([...layers].sort().map((digest) => [digest, layerOf(digest)])) }),
  }));
  const blobs = [...images.map(({ configBytes }) => configBytes), ...manifests];
  const repositories = repositoriesOf(images);
  return [
    ...[...new Map(blobs.map((content) => [blobName(digestOf(content)), content]))].map(([name, content]) => ({ name, content })),
    { name: "index.json", content: Buffer.from(JSON.stringify(indexOf(images, manifests))) },
    { name: "manifest.json", content: Buffer.from(`${JSON.stringify(items)}\n`) },
    { name: "oci-layout", content: Buffer.from('{"imageLayoutVersion": "1.0.0"}') },
    ...(repositories === undefined ? [] : [{ name: "repositories", content: Buffer.from(`${JSON.stringify(repositories)}\n`) }]),
  ];
}

function indexOf(images: SavedImage[], manifests: Buffer[]): unknown {
  const entries = images.flatMap(({ references }, at) => {
    const bytes = manifests[at] ?? Buffer.alloc(0);
    const plain = { mediaType: MANIFEST_TYPE, digest: digestOf(bytes), size: bytes.length };
    if (references.length === 0) return [plain];
    return references.map((reference) => ({
      ...plain,
      annotations: {
        "io.containerd.image.name": fullReference(reference),
        "org.opencontainers.image.ref.name": reference.tag,
      },
    }));
  });
  return { schemaVersion: 2, mediaType: "application/vnd.oci.image.index.v1+json", manifests: entries };
}

/** Name → tag → uppermost layer. */
function repositoriesOf(images: SavedImage[]): Record<string, Record<string, string>> | undefined {
  const repositories = new Map<string, Map<string, string>>();
  for (const { references, layers } of images) {
    const top = layers.at(-1)?.replace("sha256:", "");
    if (top === undefined) continue;
    for (const reference of references) {
      const name = familiarName(reference);
      repositories.set(name, (repositories.get(name) ?? new Map<string, string>()).set(reference.tag ?? "", top));
    }
  }
  if (repositories.size === 0) return undefined;
  const sorted = [...repositories].sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(sorted.map(([name, tags]) => [name, Object.fromEntries([...tags].sort(([a], [b]) => (a < b ? -1 : 1)))]));
}

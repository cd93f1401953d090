import { EngineError, messageOf } from "../../../base/errors.ts";
import type { ImageArchive } from "./image-archive.ts";

/** What an archive says of one image. */
export interface ArchivedImage {
  configBytes: Buffer;
  /** As many as the config has diffIDs, lowest first. */
  layers: ArchivedLayer[];
  /** Names with tags, as they stand there. */
  names: string[];
  /** The id of the image that it was made from. */
  parent: string | undefined;
}

export interface ArchivedLayer {
  name: string;
  /** Of the file, where the archive says it. */
  digest?: string | undefined;
}

interface ManifestItem {
  Config?: unknown;
  RepoTags?: unknown;
  Layers?: unknown;
  Parent?: unknown;
}

/** `manifest.json`, which every Docker since 1.10 writes, and skopeo, podman and others do: a list of configs with their layers and names. */
export async function readDockerArchive(archive: ImageArchive): Promise<ArchivedImage[]> {
  let items: unknown;
  try {
    items = JSON.parse((await archive.read("manifest.json")).toString("utf8"));
  } catch (error) {
    throw invalid(messageOf(error));
  }
  if (items === null) throw new EngineError("invalid", "invalid manifest, manifest cannot be null (but can be [])");
  if (!Array.isArray(items)) throw invalid("it is no list");
  return Promise.all(items.map((item: unknown) => readItem(archive, item)));
}

async function readItem(archive: ImageArchive, value: unknown): Promise<ArchivedImage> {
  if (typeof value !== "object" || value === null) throw invalid("it holds something that is no object");
  // Its members are looked at before use.
  const { Config: config, RepoTags: names, Layers: layers, Parent: parent } = value as ManifestItem;
  if (typeof config !== "string") throw invalid("an image has no Config");
  return {
    configBytes: await archive.read(config),
    layers: texts(layers, "Layers").map((name) => ({ name })),
    names: texts(names, "RepoTags"),
    parent: typeof parent === "string" ? parent : undefined,
  };
}

function texts(value: unknown, what: string): string[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value) || !value.every((item) => typeof item === "string")) throw invalid(`${what} is no list of texts`);
  return value;
}

function invalid(why: string): EngineError {
  return new EngineError("invalid", `invalid manifest.json: ${why}`);
}

import { EngineError, messageOf } from "../../../base/errors.ts";
import { MAX_LAYERS } from "../image-config.ts";
import type { Platform } from "../platform.ts";
import { isDigest } from "../reference.ts";

/** Manifests and indexes: what a registry says an image is made of (image-spec v1.1; Docker manifest schema 2). */
export interface Descriptor {
  mediaType: string;
  digest: string;
  sizeBytes: number;
  platform?: Platform | undefined;
}

export type Manifest = { kind: "image"; config: Descriptor; layers: Descriptor[] } | { kind: "index"; manifests: Descriptor[] };

/** As in Docker and distribution. */
export const MAX_MANIFEST_BYTES = 4 * 1024 * 1024;

const IMAGE_TYPES = ["application/vnd.docker.distribution.manifest.v2+json", "application/vnd.oci.image.manifest.v1+json"];
const INDEX_TYPES = ["application/vnd.docker.distribution.manifest.list.v2+json", "application/vnd.oci.image.index.v1+json"];
const SCHEMA1_TYPE = /^application\/vnd\.docker\.distribution\.manifest\.v1\+(?:json|prettyjws)$/;
const CONFIG_TYPES = ["application/vnd.docker.container.image.v1+json", "application/vnd.oci.image.config.v1+json"];
/** Layers that others may not hand on ("foreign") are taken from the registry like all others, as in Docker; their URLs are never followed. */
const LAYER_TYPE =
  /^application\/vnd\.(?:docker\.image\.rootfs\.(?:foreign\.)?diff\.tar(?:\.gzip|\.zstd)?|oci\.image\.layer\.(?:nondistributable\.)?v1\.tar(?:\+gzip|\+zstd)?)$/;
const MAX_INDEX_ENTRIES = 10_000;
const MAX_LAYER_BYTES = 1024 ** 4;

/** What we take, in the order of `Accept`. */
export const ACCEPTED_TYPES = [...IMAGE_TYPES, ...INDEX_TYPES].join(", ");

/**
 * Parses a manifest's bytes. `contentType` is what the registry called them: it, the bytes' own `mediaType` and their shape must agree, or
 * one reader could see an image where another sees an index (CVE-2021-41190).
 */
export function parseManifest(bytes: Buffer, contentType: string | undefined): Manifest {
  const served = contentType?.split(";", 1)[0]?.trim() ?? "";
  let parsed: unknown;
  try {
    parsed = JSON.parse(bytes.toString("utf8"));
  } catch (error) {
    throw invalid(messageOf(error));
  }
  const root = object(parsed, "it");
  if (SCHEMA1_TYPE.test(served) || root["schemaVersion"] === 1 || "fsLayers" in root) {
    throw new EngineError(
      "invalid",
      "Docker Image manifest version 2, schema 1 is no longer supported: ask the image's author to push it again in the OCI format or as schema 2",
    );
  }
  if (root["schemaVersion"] !== 2) throw invalid("its schemaVersion is not 2");
  const own = typeof root["mediaType"] === "string" ? root["mediaType"] : "";
  const named = own === "" ? served : own;
  if (isManifestType(served) && own !== "" && own !== served) throw invalid(`it was served as ${served} but calls itself ${own}`);

  const isImage = "config" in root || "layers" in root;
  const isIndex = "manifests" in root;
  if (isImage && isIndex) throw invalid("it is an image and an index at once");
  if (isImage && !INDEX_TYPES.includes(named)) return parseImage(root);
  if (isIndex && !IMAGE_TYPES.includes(named)) return parseIndex(root);
  throw invalid(
    isImage || isIndex ? `its content is not what its type ${named} says` : `it is neither an image nor an index (${named || "no type"})`,
  );
}

function parseImage(root: Record<string, unknown>): Manifest {
  const config = descriptor(root["config"], "config");
  if (!CONFIG_TYPES.includes(config.mediaType)) {
    throw new EngineError("invalid", `it is no container image: its config is of the type ${JSON.stringify(config.mediaType)}`);
  }
  if (config.sizeBytes > MAX_MANIFEST_BYTES) throw invalid(`its config has ${config.sizeBytes} bytes (at most ${MAX_MANIFEST_BYTES})`);
  const layers = list(root["layers"], "layers", MAX_LAYERS).map((layer) => descriptor(layer, "layers"));
  const unknown = layers.find(({ mediaType }) => !LAYER_TYPE.test(mediaType));
  if (unknown !== undefined)
    throw invalid(`layer ${unknown.digest} is of the type ${JSON.stringify(unknown.mediaType)}, which is not known`);
  return { kind: "image", config, layers };
}

function parseIndex(root: Record<string, unknown>): Manifest {
  const manifests = list(root["manifests"], "manifests", MAX_INDEX_ENTRIES).map((entry) => descriptor(entry, "manifests"));
  return { kind: "index", manifests };
}

function isManifestType(type: string): boolean {
  return IMAGE_TYPES.includes(type) || INDEX_TYPES.includes(type);
}

function descriptor(value: unknown, what: string): Descriptor {
  const members = object(value, what);
  const { mediaType, digest, size, platform } = members;
  if (typeof digest !== "string" || !isDigest(digest)) throw invalid(`${what} has an invalid or unsupported digest`);
  if (typeof size !== "number" || !Number.isSafeInteger(size) || size < 0 || size > MAX_LAYER_BYTES)
    throw invalid(`${what} has an invalid size`);
  if (mediaType !== undefined && typeof mediaType !== "string") throw invalid(`${what} has an invalid media type`);
  return { mediaType: mediaType ?? "", digest, sizeBytes: size, platform: platformOf(platform) };
}

function platformOf(value: unknown): Platform | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const { os, architecture, variant } = value as Record<string, unknown>; // members are looked at before use
  if (typeof os !== "string" || typeof architecture !== "string") return undefined;
  return { os, architecture, variant: typeof variant === "string" ? variant : undefined };
}

function object(value: unknown, what: string): Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw invalid(`${what} is no object`);
  return value as Record<string, unknown>; // a JSON object, as was just checked
}

function list(value: unknown, what: string, limit: number): unknown[] {
  if (!Array.isArray(value)) throw invalid(`${what} is no list`);
  if (value.length > limit) throw invalid(`${what} has ${value.length} entries (at most ${limit})`);
  return value;
}

function invalid(why: string): EngineError {
  return new EngineError("invalid", `invalid manifest: ${why}`);
}

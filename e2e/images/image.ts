import { createHash } from "node:crypto";
import { gzipSync } from "node:zlib";

import { tar } from "../../src/testing/tar.ts";

/** An image as a registry has it: a manifest and the blobs that it names. Any part may be made wrong. */
export interface TestImage {
  manifest: Document;
  config: Document;
  layers: Blob[];
  /** The id that the image gets. */
  id: string;
}

export interface Blob {
  digest: string;
  bytes: Buffer;
}

export interface Document extends Blob {
  mediaType: string;
}

export interface Layer {
  tar: Buffer;
  /** What the registry serves; gzip of the tar by default. */
  blob?: Buffer;
  mediaType?: string;
}

/** Changes what would otherwise be right. */
export interface Slips {
  /** Members, or all of it. */
  config?: Record<string, unknown> | string;
  manifest?: Record<string, unknown>;
  /** In place of the layers' own. */
  diffIds?: string[];
}

export const HOST_ARCHITECTURE = process.arch === "x64" ? "amd64" : process.arch;
const OCI = "application/vnd.oci.image";
const INDEX_TYPE = `${OCI}.index.v1+json`;

export function makeImage(layers: (Layer | Buffer)[], slips: Slips = {}): TestImage {
  const packed = layers.map((layer) => (Buffer.isBuffer(layer) ? { tar: layer } : layer)).map(pack);
  const diffIds = slips.diffIds ?? packed.map(({ diffId }) => diffId);
  const config = document(`${OCI}.config.v1+json`, typeof slips.config === "string" ? slips.config : configOf(diffIds, slips.config));
  const manifest = document(`${OCI}.manifest.v1+json`, {
    schemaVersion: 2,
    mediaType: `${OCI}.manifest.v1+json`,
    config: descriptor(config),
    layers: packed.map(({ blob, mediaType }) => ({ mediaType, digest: blob.digest, size: blob.bytes.length })),
    ...slips.manifest,
  });
  return { manifest, config, layers: packed.map(({ blob }) => blob), id: config.digest };
}

/** An index over manifests, each with the platform it says it is for. */
export function makeIndex(entries: { platform?: Record<string, string>; of: Document }[]): Document {
  const manifests = entries.map(({ platform, of }) => ({ ...descriptor(of), platform }));
  return document(INDEX_TYPE, { schemaVersion: 2, mediaType: INDEX_TYPE, manifests });
}

/** Text as it is, anything else as JSON. */
export function document(mediaType: string, value: unknown): Document {
  return { mediaType, ...blob(Buffer.from(typeof value === "string" ? value : JSON.stringify(value))) };
}

function configOf(diffIds: string[], more: Record<string, unknown> | undefined): Record<string, unknown> {
  return {
    architecture: HOST_ARCHITECTURE,
    os: "linux",
    created: "2024-01-02T03:04:05Z",
    config: { Cmd: ["/bin/sh"], Env: ["PATH=/bin"] },
    rootfs: { type: "layers", diff_ids: diffIds },
    ...more,
  };
}

export function digestOf(bytes: Buffer): string {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}

/** How people see a layer in progress lines. */
export function shortDigest({ digest }: Blob): string {
  return digest.slice("sha256:".length, "sha256:".length + 12);
}

function pack(layer: Layer): { diffId: string; blob: Blob; mediaType: string } {
  const bytes = layer.blob ?? gzipSync(layer.tar);
  return { diffId: digestOf(layer.tar), blob: blob(bytes), mediaType: layer.mediaType ?? `${OCI}.layer.v1.tar+gzip` };
}

function descriptor({ mediaType, digest, bytes }: Document): { mediaType: string; digest: string; size: number } {
  return { mediaType, digest, size: bytes.length };
}

function blob(bytes: Buffer): Blob {
  return { digest: digestOf(bytes), bytes };
}

/** The same bytes at each run, and none that gzip makes smaller. */
export function incompressible(bytes: number): Buffer {
  const random = dice();
  return Buffer.from(Array.from({ length: bytes }, () => random(65_536) >> 8));
}

/** The same numbers at each run, each below what is asked. */
export function dice(): (below: number) => number {
  let state = 1;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return (state >>> 8) % below;
  };
}

export const FILE = tar({ name: "file", content: "content" });
/** The first layer of IMAGE. */
export const FIRST_TAR = tar({ name: "etc", type: "directory" }, { name: "etc/one", content: "1" });
/** Two layers, the second of a size worth breaking off. */
export const IMAGE = makeImage([FIRST_TAR, tar({ name: "big", content: incompressible(300_000) })]);
// As many as were given.
export const [FIRST, BIG] = IMAGE.layers as [Blob, Blob];

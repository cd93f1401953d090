import { expect, test } from "vitest";

import { parseManifest } from "./manifest.ts";

const OCI = "application/vnd.oci.image";
const DOCKER = "application/vnd.docker.distribution.manifest";
const digest = `sha256:${"a".repeat(64)}`;
const config = { mediaType: `${OCI}.config.v1+json`, digest, size: 10 };
const layer = { mediaType: `${OCI}.layer.v1.tar+gzip`, digest, size: 20 };
const image = { schemaVersion: 2, mediaType: `${OCI}.manifest.v1+json`, config, layers: [layer] };
const index = { schemaVersion: 2, manifests: [{ digest, size: 1, platform: { os: "linux", architecture: "arm" } }] };

const parse = (value: unknown, contentType?: string): unknown => parseManifest(Buffer.from(JSON.stringify(value)), contentType);

test("an image has a config and layers, an index has manifests; the type may stand in either place or nowhere", () => {
  const { mediaType: _, ...untyped } = image;
  for (const [value, type] of [
    [image, undefined],
    [image, `${OCI}.manifest.v1+json; charset=utf-8`],
    [untyped, "application/json"],
  ] as const) {
    expect(parse(value, type)).toMatchObject({ kind: "image", config: { digest, sizeBytes: 10 }, layers: [{ sizeBytes: 20 }] });
  }
  expect(parse(index, `${DOCKER}.list.v2+json`)).toMatchObject({ kind: "index", manifests: [{ platform: { architecture: "arm" } }] });
});

test.each<[unknown, string | undefined, RegExp]>([
  [{ ...image, manifests: [] }, undefined, /an image and an index at once/],
  [image, `${OCI}.index.v1+json`, /served as .*index.* but calls itself .*manifest/],
  [index, `${OCI}.manifest.v1+json`, /its content is not what its type/],
  [{ schemaVersion: 1, fsLayers: [] }, undefined, /schema 1 is no longer supported/],
  [{}, `${DOCKER}.v1+prettyjws`, /schema 1 is no longer supported/],
  [{ schemaVersion: 2 }, undefined, /neither an image nor an index/],
  [{ ...image, schemaVersion: 3 }, undefined, /schemaVersion is not 2/],
  [[], undefined, /it is no object/],
  [{ ...image, config: undefined }, undefined, /config is no object/],
  [{ ...image, config: { ...config, mediaType: "application/vnd.example.chart" } }, undefined, /no container image/],
  [{ ...image, config: { ...config, size: 5_000_000 } }, undefined, /its config has 5000000 bytes/],
  [{ ...image, layers: {} }, undefined, /layers is no list/],
  [{ ...image, layers: Array.from({ length: 128 }, () => layer) }, undefined, /layers has 128 entries/],
  ...["sha256:../../etc", `sha256:${"a".repeat(63)}`, `sha512:${"a".repeat(128)}`, 7].map(
    (wrong) =>
      [{ ...image, layers: [{ ...layer, digest: wrong }] }, undefined, /invalid or unsupported digest/] as [unknown, undefined, RegExp],
  ),
  ...[-1, 1.5, "20", 2 ** 50].map(
    (size) => [{ ...image, layers: [{ ...layer, size }] }, undefined, /invalid size/] as [unknown, undefined, RegExp],
  ),
  [{ ...image, layers: [{ ...layer, mediaType: "application/x-tar" }] }, undefined, /is not known/],
])("%j served as %s is refused", (value, contentType, message) => {
  expect(() => parse(value, contentType)).toThrow(message);
});

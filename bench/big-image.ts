import { createHash, randomBytes } from "node:crypto";
import { createReadStream, createWriteStream, mkdirSync, renameSync, statSync, writeFileSync } from "node:fs";
import path from "node:path";
import { pipeline } from "node:stream/promises";
import { createGzip } from "node:zlib";

import { run } from "../src/testing/run.ts";

/** An image of a given size as an OCI layout, shaped like a distribution's: many files of which each compresses to about half. */
export async function makeBigImage(folder: string, options: { layers: number; filesPerLayer: number; fileBytes: number }): Promise<string> {
  const layout = path.join(folder, "layout");
  const blobs = path.join(layout, "blobs/sha256");
  mkdirSync(blobs, { recursive: true });
  const layers: Descriptor[] = [];
  const diffIds: string[] = [];
  for (let layer = 0; layer < options.layers; layer += 1) {
    const tree = path.join(folder, `tree${layer}`);
    for (let file = 0; file < options.filesPerLayer; file += 1) {
      const place = path.join(tree, `layer${layer}/${file % 50}`);
      if (file < 50) mkdirSync(place, { recursive: true });
      const text = Buffer.alloc(options.fileBytes / 2, `/usr/share/doc/package-${file}/copyright\n`);
      writeFileSync(path.join(place, `file${file}`), Buffer.concat([randomBytes(options.fileBytes / 2), text]));
    }
    const archive = path.join(folder, "layer.tar");
    const packed = await run(["tar", "-C", tree, "--remove-files", "-cf", archive, "."]);
    if (packed.code !== 0) throw new Error(`packing a layer: ${packed.stderr}`);
    diffIds.push(await digestOf(archive));
    const compressed = path.join(folder, "layer.tar.gz");
    await pipeline(createReadStream(archive), createGzip({ level: 1 }), createWriteStream(compressed));
    layers.push(await addBlob(blobs, compressed, "application/vnd.oci.image.layer.v1.tar+gzip"));
  }
  const config = { architecture: "amd64", os: "linux", config: {}, rootfs: { type: "layers", diff_ids: diffIds } };
  const manifest = {
    schemaVersion: 2,
    mediaType: "application/vnd.oci.image.manifest.v1+json",
    config: await addJson(folder, blobs, config, "application/vnd.oci.image.config.v1+json"),
    layers,
  };
  const index = { schemaVersion: 2, manifests: [await addJson(folder, blobs, manifest, manifest.mediaType)] };
  writeFileSync(path.join(layout, "index.json"), JSON.stringify(index));
  writeFileSync(path.join(layout, "oci-layout"), '{"imageLayoutVersion":"1.0.0"}');
  return layout;
}

interface Descriptor {
  mediaType: string;
  digest: string;
  size: number;
}

async function addJson(folder: string, blobs: string, content: object, mediaType: string): Promise<Descriptor> {
  const file = path.join(folder, "blob.json");
  writeFileSync(file, JSON.stringify(content));
  return addBlob(blobs, file, mediaType);
}

async function addBlob(blobs: string, file: string, mediaType: string): Promise<Descriptor> {
  const digest = await digestOf(file);
  const { size } = statSync(file);
  renameSync(file, path.join(blobs, digest.slice("sha256:".length)));
  return { mediaType, digest, size };
}

async function digestOf(file: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const block of createReadStream(file)) hash.update(block as Buffer); // A stream without an encoding gives Buffers.
  return `sha256:${hash.digest("hex")}`;
}

import { createHash } from "node:crypto";

import { TarReader, type ReadEntry, type TarSink } from "../../src/tar/tar-reader.ts";

/** What is in an image, read from what `docker save` gives: its config, and its layers as lines of text that can be compared. */
export interface SavedImage {
  config: ImageConfig;
  layers: Layer[];
}

export interface ImageConfig {
  architecture: string;
  os: string;
  author?: string;
  config?: Record<string, unknown>;
  container_config?: Record<string, unknown>;
  history: { created_by?: string; empty_layer?: boolean; author?: string; comment?: string }[];
  rootfs: { diff_ids: string[] };
}

/** Paths to entries, in the order of the archive. */
export interface Layer {
  /** The diffID that the archive would have if its headers were written as Docker has written them since 23: see `withoutNames`. */
  sum: string;
  entries: Map<string, LayerEntry>;
}

export interface LayerEntry {
  /** Mode, owner, size, content, attributes and time. */
  line: string;
  isFolder: boolean;
  isHardLink: boolean;
  /** Made in the build, and not brought by it. */
  isNew: boolean;
}

/** Times of files in contexts and archives are older, those of the build's own are newer. */
const NEW_SINCE_SECONDS = 1_700_000_000;
const WHITEOUT = ".wh.";
const OPAQUE = ".wh..wh..opq";

export function readSavedImage(archive: Buffer, known: Map<string, Layer>): SavedImage {
  const files = new Map<string, Buffer>();
  const links = new Map<string, string>();
  const read = (name: string): Buffer => {
    const link = links.get(name);
    const file = files.get(link === undefined ? name : new URL(link, `file:///${name}`).pathname.slice(1));
    if (file === undefined) throw new Error(`the saved image has no ${name}`);
    return file;
  };
  readTar(archive, (entry, content) => {
    if (entry.type === "symlink" || entry.type === "hardlink") links.set(entry.name, entry.linkName);
    else files.set(entry.name, content);
  });
  // The formats of `docker save` and of an image's config.
  const [manifest] = JSON.parse(read("manifest.json").toString()) as { Config: string; Layers: string[] }[];
  if (manifest === undefined) throw new Error("the saved archive holds no image");
  const config = JSON.parse(read(manifest.Config).toString()) as ImageConfig;
  const layers = config.rootfs.diff_ids.map((diffId, index) => {
    const layer = known.get(diffId) ?? readLayer(read(manifest.Layers[index] ?? ""));
    known.set(diffId, layer);
    return layer;
  });
  return { config, layers };
}

/** All that the image shows, by path. */
export function mergedTree(layers: Layer[]): Map<string, string> {
  const tree = new Map<string, string>();
  const clear = (path: string): void => {
    for (const known of tree.keys()) if (known === path || known.startsWith(`${path}/`)) tree.delete(known);
  };
  for (const { entries } of layers) {
    for (const path of entries.keys()) {
      const slash = path.lastIndexOf("/") + 1;
      if (path.slice(slash) === OPAQUE) clear(path.slice(0, slash - 1));
      else if (path.startsWith(WHITEOUT, slash)) clear(path.slice(0, slash) + path.slice(slash + WHITEOUT.length));
    }
    for (const [path, { line, isFolder }] of entries) {
      if (path.startsWith(WHITEOUT, path.lastIndexOf("/") + 1)) continue;
      if (!isFolder) clear(path);
      tree.set(path, line);
    }
  }
  return tree;
}

function readLayer(archive: Buffer): Layer {
  const entries = new Map<string, LayerEntry>();
  readTar(archive, (entry, content) => {
    const path = Buffer.from(entry.name, "latin1").toString("utf8").replace(/\/$/, "");
    const target = Buffer.from(entry.linkName, "latin1").toString("utf8");
    const isHardLink = entry.type === "hardlink";
    const isNew = entry.modified.seconds > NEW_SINCE_SECONDS;
    const first = isHardLink ? entries.get(target)?.line : undefined;
    entries.set(path, {
      line: isHardLink ? `${first ?? "broken link"} = ${target}` : lineOf(entry, content, target, isNew),
      isFolder: entry.type === "directory",
      isHardLink,
      isNew: isNew && !isHardLink,
    });
  });
  return { sum: createHash("sha256").update(withoutNames(archive)).digest("hex"), entries };
}

const BLOCK_BYTES = 512;
const MODE_AT = 100;
const SIZE_AT = 124;
const SUM_AT = 148;
const NAMES_AT = 265;

/** The archive without what Docker 20.10 writes into headers and later ones do not: type bits in modes, names of users and groups. */
function withoutNames(archive: Buffer): Buffer {
  const plain = Buffer.from(archive);
  const octal = (at: number, bytes: number): number => parseInt(plain.toString("latin1", at, at + bytes), 8) || 0;
  for (let at = 0; plain[at] !== 0 && at < plain.length;) {
    plain.write((octal(at + MODE_AT, 8) & 0o7777).toString(8).padStart(7, "0"), at + MODE_AT);
    plain.fill(0, at + NAMES_AT, at + NAMES_AT + 64);
    plain.write(" ".repeat(8), at + SUM_AT);
    const sum = plain.subarray(at, at + BLOCK_BYTES).reduce((total, byte) => total + byte, 0);
    plain.write(`${sum.toString(8).padStart(6, "0")}\0 `, at + SUM_AT);
    at += BLOCK_BYTES * (1 + Math.ceil(octal(at + SIZE_AT, 12) / BLOCK_BYTES));
  }
  return plain;
}

function lineOf(entry: ReadEntry, content: Buffer, target: string, isNew: boolean): string {
  const attributes = [...entry.attributes.entries()]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => `${name}=${value.toString("base64")}`);
  const sum = createHash("sha256").update(content).digest("hex").slice(0, 12);
  return [
    entry.type,
    ...(entry.type === "symlink" ? [] : [entry.mode.toString(8)]),
    `${entry.user}:${entry.group}`,
    ...(entry.type === "file" ? [String(entry.sizeBytes), ...(entry.sizeBytes === 0 ? [] : [sum])] : []),
    ...(entry.type === "character" || entry.type === "block" ? [`${entry.major},${entry.minor}`] : []),
    ...attributes,
    isNew ? "now" : String(entry.modified.seconds),
    ...(entry.type === "symlink" ? [`-> ${target}`] : []),
  ].join(" ");
}

function readTar(archive: Buffer, take: (entry: ReadEntry, content: Buffer) => void): void {
  let open: { entry: ReadEntry; pieces: Buffer[] } | undefined;
  const sink: TarSink = {
    begin: (entry) => (open = { entry, pieces: [] }),
    data: (bytes) => open?.pieces.push(bytes),
    hole: (bytes) => open?.pieces.push(Buffer.alloc(bytes)),
    end: () => {
      if (open !== undefined) take(open.entry, Buffer.concat(open.pieces));
      open = undefined;
    },
  };
  const reader = new TarReader(sink);
  reader.push(archive);
  reader.finish();
}

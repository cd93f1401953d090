import { createHash } from "node:crypto";
import { isDeepStrictEqual } from "node:util";

import { type Case, changed } from "./case.ts";
import { build, type Built, type Engine } from "./engine.ts";
import { type ImageConfig, type Layer, mergedTree, readSavedImage, type SavedImage } from "./image-tree.ts";

/** All that is compared of a case: what a golden file holds. No ids, times or paths of a machine. */
export interface Observation {
  text?: string[];
  error?: Built["error"];
  image?: Record<string, unknown>;
  history?: unknown[];
  /** Bytes beyond the base image's. */
  size?: number;
  /** What the image has that the base has not, path by path; null: what the base has and the image has not. */
  tree?: Record<string, string | null>;
  /** Of the layers above the base: their sum where nothing in them has the time of the build, else what is in them. */
  layers?: (string | string[])[];
  /** Which steps were cached when the same was built again, and after each change. */
  rebuilds?: Record<string, string>;
}

/** No cache is shared with an earlier recording. */
const RUN = Date.now().toString(36);
export const BASE = "tsubo-conformance-base";

/** Reads images of one engine; each layer once. */
export class ImageReader {
  readonly #layers = new Map<string, Layer>();
  #base: Promise<SavedImage & { size: number }> | undefined;

  async read(engine: Engine, name: string): Promise<SavedImage & { size: number }> {
    // The Engine API's image.
    const { Size } = (await engine.api("GET", `/images/${name}/json`)).json() as { Size: number };
    const saved = await engine.api("GET", `/images/get?names=${encodeURIComponent(name)}`);
    return { ...readSavedImage(saved.bytes, this.#layers), size: Size };
  }

  base(engine: Engine): Promise<SavedImage & { size: number }> {
    this.#base ??= this.read(engine, BASE);
    return this.#base;
  }
}

/** Longer lists are kept as their number and sum. */
const LINES_AT_MOST = 60;

/** Builds a case with all its changes. The engine has the image BASE. */
export async function observe(engine: Engine, one: Case, reader: ImageReader): Promise<Observation> {
  await prepare(engine, { name: one.name, dockerfile: `FROM ${BASE}\nLABEL case=${one.name} run=${RUN}\n`, flags: ["-t=base"] });
  for (const [tag, before] of Object.entries(one.before ?? {})) await prepare(engine, { ...before, name: one.name, flags: [`-t=${tag}`] });

  const built = await build(engine, one);
  const isClassic = one.reference !== "buildkit";
  const observation: Observation = {
    ...(isClassic ? { text: linesOf(normalised(built.text)) } : {}),
    ...(built.error === undefined
      ? {}
      : { error: isClassic ? { ...built.error, message: built.error.message.replaceAll(/\/\S+\/merged\b/g, "") } : { message: "" } }),
  };
  if (built.imageId !== undefined) Object.assign(observation, await describeImage(engine, built.imageId, isClassic, reader));
  if (!isClassic) return observation;
  const rebuilds: Record<string, string> = {};
  for (const [name, change] of Object.entries({ again: {}, ...one.rebuilds }))
    rebuilds[name] = cachedSteps(await build(engine, changed(one, change)));
  return { ...observation, rebuilds };
}

async function prepare(engine: Engine, wanted: Parameters<typeof build>[1]): Promise<void> {
  const { error } = await build(engine, wanted);
  if (error !== undefined) throw new Error(`${wanted.name}: an image that it needs could not be built: ${error.message}`);
}

async function describeImage(engine: Engine, id: string, isClassic: boolean, reader: ImageReader): Promise<Observation> {
  const { config, layers, size } = await reader.read(engine, id);
  const base = await reader.base(engine);
  const isOnBase = layers[0] === base.layers[0];
  const own = isOnBase ? layers.slice(base.layers.length) : layers;
  const before = isOnBase ? mergedTree(base.layers) : new Map<string, string>();
  return {
    image: imageOf(config, isClassic),
    ...(isClassic ? { history: historyOf(config, isOnBase) } : {}),
    size: isOnBase ? size - base.size : size,
    tree: shortened(treeBeyond(before, mergedTree(layers))),
    layers: own.map(layerOf),
  };
}

function treeBeyond(before: Map<string, string>, after: Map<string, string>): Record<string, string | null> {
  const lines: Record<string, string | null> = {};
  for (const [path, line] of [...after].toSorted(byName)) if (before.get(path) !== line) lines[path] = line;
  for (const path of before.keys()) if (!after.has(path)) lines[path] = null;
  return lines;
}

function shortened(tree: Record<string, string | null>): Record<string, string | null> {
  const lines = Object.entries(tree);
  if (lines.length <= LINES_AT_MOST) return tree;
  return { [`${lines.length} files`]: sumOf(lines.map(([path, line]) => `${path} ${line}`)) };
}

function layerOf({ sum, entries }: Layer): string | string[] {
  if (![...entries.values()].some(({ isNew }) => isNew)) return sum;
  const names = [...entries.keys()];
  return names.length <= LINES_AT_MOST ? names : [`${names.length} files`, sumOf(names)];
}

function sumOf(lines: string[]): string {
  return createHash("sha256").update(lines.join("\n")).digest("hex");
}

/** The config, and of the container's what is not the same. */
function imageOf({ os, author, config, container_config: ofContainer }: ImageConfig, isClassic: boolean): Record<string, unknown> {
  const kept = configOf(config);
  const more = Object.entries(configOf(ofContainer)).filter(([key, value]) => !isDeepStrictEqual(value, kept[key]));
  const all = { os, author, config: kept, container: isClassic ? Object.fromEntries<unknown>(more) : undefined };
  return JSON.parse(JSON.stringify(all)) as Record<string, unknown>;
}

/** Without ids, the label that sets cases apart, and what says nothing. */
function configOf(config: Record<string, unknown> = {}): Record<string, unknown> {
  const { Hostname: _, Image: __, Labels, ...rest } = config;
  const { case: ___, run: ____, ...labels } = (Labels ?? {}) as Record<string, unknown>;
  const said = Object.entries<unknown>({ ...rest, Labels: labels }).filter(
    ([, value]) => value !== null && value !== false && value !== "",
  );
  return Object.fromEntries(said.toSorted(byName));
}

function historyOf({ history }: ImageConfig, isOnBase: boolean): unknown[] {
  // The base's import and its label.
  return history.slice(isOnBase ? 2 : 0).map(({ created_by: by = "", empty_layer: isEmpty, author, comment }) => {
    const more = { ...(author === undefined ? {} : { author }), ...(comment === undefined ? {} : { comment }) };
    const text = isEmpty === true ? `${by} (empty)` : by;
    return Object.keys(more).length === 0 ? text : { text, ...more };
  });
}

/** Ids by the order in which they appear. */
function normalised(text: string): string {
  const ids = new Map<string, string>();
  const named = (id: string): string => {
    const short = id.replace("sha256:", "").slice(0, 12);
    if (!ids.has(short)) ids.set(short, `<id${ids.size + 1}>`);
    return ids.get(short) ?? "";
  };
  // What goes to stderr comes in pieces of any size; a context is only sent by those who have to.
  const plain = text.replaceAll("\x1b[0m\x1b[91m", "").replace(/^Sending build context to Docker daemon [^\n]*\n/m, "");
  return plain.replaceAll(
    /^( ---> (?:Running in |Removed intermediate container )?|Removing intermediate container |Successfully built )([0-9a-f]{12})$|^()(sha256:[0-9a-f]{64})$/gm,
    (_match, before: string | undefined, short: string | undefined, _none, long: string | undefined) =>
      (before ?? "") + named(short ?? long ?? ""),
  );
}

/** A letter for each step: `c` cached, or the number of its cached triggers, `-` a FROM, `n` new. */
function cachedSteps({ text, error }: Built): string {
  const steps = text.split(/^Step \d+\/\d+ : /m).slice(1);
  const letters = steps.map((step) => {
    const cached = step.split(" ---> Using cache\n").length - 1;
    if (cached > 1) return String(cached);
    return cached === 1 ? "c" : /^FROM\b/i.test(step) ? "-" : "n";
  });
  return letters.join("") + (error === undefined ? "" : " failed");
}

function linesOf(text: string): string[] {
  return text.replace(/\n$/, "").split("\n");
}

function byName([a]: [string, unknown], [b]: [string, unknown]): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

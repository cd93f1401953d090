import { EngineError, messageOf } from "../../../base/errors.ts";
import type { ImageArchive } from "./image-archive.ts";

/**
 * The archives of Docker before 1.10: a folder for each layer, which was an image then, with `json` and `layer.tar`; `json` names its parent,
 * and `repositories` says which id a tag stands for. Nothing in them says a diffID: the config is made when the layers are unpacked.
 */
export interface LegacyImage {
  names: string[];
  /** Lowest first. */
  layers: { id: string; layer: string; json: Record<string, unknown> }[];
}

const MAX_LAYERS = 127;
const ID = /^[a-f0-9]{64}$/;

export async function readLegacyArchive(archive: ImageArchive): Promise<LegacyImage[]> {
  const tags = repositoriesOf(await readJson(archive, "repositories"));
  const named = new Map<string, string[]>();
  for (const { name, id } of tags) named.set(id, [...(named.get(id) ?? []), name]);
  return Promise.all([...named].map(async ([id, names]) => ({ names, layers: await layersOf(archive, id) })));
}

async function layersOf(archive: ImageArchive, top: string): Promise<LegacyImage["layers"]> {
  const layers: LegacyImage["layers"] = [];
  const seen = new Set<string>();
  for (let id: unknown = top; id !== undefined && id !== "";) {
    if (typeof id !== "string" || !ID.test(id)) throw new EngineError("invalid", `image ID ${JSON.stringify(id)} is invalid`);
    if (seen.has(id)) throw new EngineError("invalid", `image ${id} is above itself in the archive`);
    if (layers.length >= MAX_LAYERS) throw new EngineError("invalid", `image ${top} has more than ${MAX_LAYERS} layers`);
    seen.add(id);
    const json = await readJson(archive, `${id}/json`);
    layers.unshift({ id, layer: `${id}/layer.tar`, json });
    id = json["parent"];
  }
  return layers;
}

function repositoriesOf(repositories: Record<string, unknown>): { name: string; id: string }[] {
  return Object.entries(repositories).flatMap(([repository, tags]) => {
    if (typeof tags !== "object" || tags === null) throw new EngineError("invalid", "invalid repositories: a name has no tags");
    return Object.entries(tags).map(([tag, id]) => ({ name: `${repository}:${tag}`, id: String(id) }));
  });
}

async function readJson(archive: ImageArchive, name: string): Promise<Record<string, unknown>> {
  const bytes = await archive.read(name);
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString("utf8"));
  } catch (error) {
    throw new EngineError("invalid", `${JSON.stringify(name)} in the archive: ${messageOf(error)}`);
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new EngineError("invalid", `${JSON.stringify(name)} in the archive is no object`);
  }
  // A JSON object, as was just checked.
  return value as Record<string, unknown>;
}

/** Members of the old form that mean nothing in a config. */
const DROPPED = ["id", "parent", "Size", "parent_id", "layer_id", "throwaway"];

/** The config that Docker makes of it: the uppermost layer's json with what it says of all layers, members in alphabetical order. */
export function legacyConfig({ layers }: LegacyImage, diffIds: string[]): Buffer {
  const members: Record<string, unknown> = {
    ...layers.at(-1)?.json,
    history: layers.map(({ json }) => historyOf(json)),
    rootfs: { type: "layers", diff_ids: diffIds },
  };
  for (const name of DROPPED) delete members[name];
  const sorted = Object.entries(members).sort(([a], [b]) => (a < b ? -1 : 1));
  // As Go's encoder writes text.
  const text = JSON.stringify(Object.fromEntries(sorted)).replaceAll(/[<>&\u2028\u2029]/g, (character) => {
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
  });
  return Buffer.from(text);
}

function historyOf(json: Record<string, unknown>): Record<string, unknown> {
  const { created, author, comment, container_config: config } = json;
  const command = (config as { Cmd?: unknown } | null | undefined)?.Cmd;
  const createdBy = Array.isArray(command) ? command.join(" ") : "";
  return {
    ...(typeof created === "string" ? { created } : {}),
    ...(typeof author === "string" && author !== "" ? { author } : {}),
    ...(createdBy === "" ? {} : { created_by: createdBy }),
    ...(typeof comment === "string" && comment !== "" ? { comment } : {}),
  };
}

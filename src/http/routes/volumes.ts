import { EngineError } from "../../base/errors.ts";
import { checkVolumeName } from "../../engine/containers/volume-names.ts";
import { json, type Call, type Route } from "../call.ts";
import { notYet } from "./missing.ts";

/** Volumes: there are none yet, and lists and lookups say so. */
export function volumeRoutes(): Route[] {
  const create = notYet("POST", "/volumes/create", "VolumeCreate");
  return [
    { method: "GET", path: "/volumes", operation: "VolumeList", handle: ({ query }) => listNone(query.filters()) },
    { ...create, handle: (call) => checkName(call).then(() => create.handle(call)) },
    { method: "POST", path: "/volumes/prune", operation: "VolumePrune", handle: ({ query }) => pruneNone(query.filters()) },
    {
      method: "GET",
      path: "/volumes/{name:.*}",
      operation: "VolumeInspect",
      handle({ name }) {
        throw new EngineError("notFound", `get ${name}: no such volume`);
      },
    },
    {
      method: "PUT",
      path: "/volumes/{name:.*}",
      operation: "VolumeUpdate",
      handle() {
        throw new EngineError("unavailable", "volume update only valid for cluster volumes, but swarm is unavailable");
      },
    },
    notYet("DELETE", "/volumes/{name:.*}", "VolumeDelete"),
  ];
}

async function checkName({ body }: Call): Promise<void> {
  const parsed = await body.parsed();
  checkVolumeName(typeof parsed === "object" && parsed !== null && "Name" in parsed ? String(parsed.Name) : "");
}

const FILTERS = new Set(["dangling", "name", "driver", "label"]);

const PRUNE_FILTERS = new Set(["all", "label", "label!"]);

function listNone(filters: Map<string, string[]>): ReturnType<typeof json> {
  checkFilters(filters, FILTERS);
  return json({ Volumes: [], Warnings: null });
}

function pruneNone(filters: Map<string, string[]>): ReturnType<typeof json> {
  checkFilters(filters, PRUNE_FILTERS);
  return json({ VolumesDeleted: [], SpaceReclaimed: 0 });
}

function checkFilters(filters: Map<string, string[]>, known: ReadonlySet<string>): void {
  for (const name of filters.keys()) if (!known.has(name)) throw new EngineError("invalid", `invalid filter '${name}'`);
}

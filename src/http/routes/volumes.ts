import { EngineError } from "../../base/errors.ts";
import { json, type Route } from "../call.ts";
import { notYet } from "./missing.ts";

/** Volumes: there are none yet, and lists and lookups say so. */
export function volumeRoutes(): Route[] {
  return [
    { method: "GET", path: "/volumes", operation: "VolumeList", handle: ({ query }) => listNone(query.filters()) },
    notYet("POST", "/volumes/create", "VolumeCreate"),
    notYet("POST", "/volumes/prune", "VolumePrune"),
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

const FILTERS = new Set(["dangling", "name", "driver", "label"]);

function listNone(filters: Map<string, string[]>): ReturnType<typeof json> {
  for (const name of filters.keys()) if (!FILTERS.has(name)) throw new EngineError("invalid", `invalid filter '${name}'`);
  return json({ Volumes: [], Warnings: null });
}

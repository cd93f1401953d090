import { EngineError } from "../../base/errors.ts";
import { json, type Call, type Route } from "../call.ts";
import { notYet } from "./missing.ts";

/** Volumes: there are none yet, and lists and lookups say so. */
export function volumeRoutes(): Route[] {
  const create = notYet("POST", "/volumes/create", "VolumeCreate");
  return [
    { method: "GET", path: "/volumes", operation: "VolumeList", handle: ({ query }) => listNone(query.filters()) },
    { ...create, handle: (call) => checkName(call).then(() => create.handle(call)) },
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

const NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/;

async function checkName({ body }: Call): Promise<void> {
  const parsed = await body.parsed();
  const name = typeof parsed === "object" && parsed !== null && "Name" in parsed ? String(parsed.Name) : "";
  if (name === "" || NAME.test(name)) return;
  throw new EngineError(
    "invalid",
    `create ${name}: ${JSON.stringify(name)} includes invalid characters for a local volume name, only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. If you intended to pass a host directory, use absolute path`,
  );
}

const FILTERS = new Set(["dangling", "name", "driver", "label"]);

function listNone(filters: Map<string, string[]>): ReturnType<typeof json> {
  for (const name of filters.keys()) if (!FILTERS.has(name)) throw new EngineError("invalid", `invalid filter '${name}'`);
  return json({ Volumes: [], Warnings: null });
}

import { volumeCreate } from "../../api/volume.ts";
import { EngineError } from "../../base/errors.ts";
import type { Volume, Volumes } from "../../engine/volumes/volumes.ts";
import { json, noContent, type Route } from "../call.ts";

export function volumeRoutes(volumes: Volumes): Route[] {
  return [
    {
      method: "GET",
      path: "/volumes",
      operation: "VolumeList",
      handle: ({ query }) => json({ Volumes: volumes.list(query.filters()).map(volumeJson), Warnings: null }),
    },
    {
      method: "POST",
      path: "/volumes/create",
      operation: "VolumeCreate",
      async handle({ body }) {
        const { Name: name, Driver: driver, DriverOpts: options, Labels: labels, ClusterVolumeSpec } = await body.json(volumeCreate);
        if (ClusterVolumeSpec !== undefined)
          throw new EngineError("unavailable", "This node is not a swarm manager: cluster volumes need one");
        return json(volumeJson(await volumes.create({ name, driver, options, labels })), 201);
      },
    },
    {
      method: "POST",
      path: "/volumes/prune",
      operation: "VolumePrune",
      async handle({ query, version }) {
        const filters = query.filters();
        // Until 1.42 anonymous and named ones went alike.
        if (version < 1042) {
          if (filters.has("all")) throw new EngineError("invalid", "invalid filter 'all'");
          filters.set("all", ["true"]);
        }
        const { names, bytes } = await volumes.prune(filters);
        return json({ VolumesDeleted: names, SpaceReclaimed: bytes });
      },
    },
    {
      method: "GET",
      path: "/volumes/{name:.*}",
      operation: "VolumeInspect",
      handle: ({ name }) => json(volumeJson(volumes.inspect(name))),
    },
    {
      method: "PUT",
      path: "/volumes/{name:.*}",
      operation: "VolumeUpdate",
      handle() {
        throw new EngineError("unavailable", "volume update only valid for cluster volumes, but swarm is unavailable");
      },
    },
    {
      method: "DELETE",
      path: "/volumes/{name:.*}",
      operation: "VolumeDelete",
      async handle({ name, query }) {
        await volumes.remove(name, { force: query.flag("force") });
        return noContent;
      },
    },
  ];
}

/** A volume in the shape of Engine API 1.50, Volume. */
export function volumeJson(volume: Volume): Record<string, unknown> {
  return {
    CreatedAt: volume.created,
    Driver: volume.driver,
    Labels: volume.labels,
    Mountpoint: volume.mountpoint,
    Name: volume.name,
    Options: volume.options,
    Scope: "local",
  };
}

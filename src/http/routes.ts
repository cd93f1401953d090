import type { Builds } from "../engine/build/builds.ts";
import type { Containers } from "../engine/containers/containers.ts";
import type { Events } from "../engine/events/events.ts";
import type { Images } from "../engine/images/images.ts";
import type { Networks } from "../engine/networks/networks.ts";
import type { Volumes } from "../engine/volumes/volumes.ts";
import type { System } from "../engine/system/system.ts";
import type { Route } from "./call.ts";
import { buildRoutes } from "./routes/build.ts";
import { containerFileRoutes } from "./routes/container-files.ts";
import { containerRoutes } from "./routes/containers.ts";
import { eventRoutes } from "./routes/events.ts";
import { execRoutes } from "./routes/exec.ts";
import { imageRoutes } from "./routes/images.ts";
import { networkRoutes } from "./routes/networks.ts";
import { pluginRoutes } from "./routes/plugins.ts";
import { swarmRoutes } from "./routes/swarm.ts";
import { systemRoutes } from "./routes/system.ts";
import { volumeRoutes } from "./routes/volumes.ts";

/** The parts of the engine that the API talks to. */
export interface Engine {
  containers: Containers;
  images: Images;
  builds: Builds;
  networks: Networks;
  volumes: Volumes;
  events: Events;
  system: System;
}

/** The table of all routes: every operation of the API description, those that are not there yet too. */
export function makeRoutes(engine: Engine): Route[] {
  return [
    ...systemRoutes(engine.system),
    ...eventRoutes(engine.events),
    ...containerRoutes(engine.containers),
    ...containerFileRoutes(engine.containers),
    ...execRoutes(engine.containers),
    ...imageRoutes(engine.images),
    ...buildRoutes(engine.builds),
    ...networkRoutes(engine.networks, engine.containers),
    ...volumeRoutes(engine.volumes),
    ...pluginRoutes(),
    ...swarmRoutes(),
  ];
}

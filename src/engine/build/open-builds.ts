import { readdir, rm } from "node:fs/promises";
import path from "node:path";

import type { Log } from "../../base/log.ts";
import type { ChildPool } from "../../store/child/pool.ts";
import type { Database } from "../../store/database.ts";
import type { LayerDriver } from "../../store/layers.ts";
import { paths, type Roots } from "../../store/roots.ts";
import type { Containers } from "../containers/containers.ts";
import type { Images } from "../images/images.ts";
import type { Builds } from "./builds.ts";
import { type CacheMounts, openCacheMounts } from "./cache-mounts.ts";
import { buildClassic } from "./classic/build.ts";
import { openResults, type Results } from "./graph/results.ts";

/** What builds work with. */
export interface BuildEngine {
  roots: Roots;
  log: Log;
  layers: LayerDriver;
  children: ChildPool;
  images: Images;
  containers: Containers;
  serverVersion: string;
  cacheMounts: CacheMounts;
  results: Results;
  /** Steps under way, by their keys: another build with the same step waits for it instead of doing it too. */
  stepsUnderWay: Map<string, Promise<string | undefined>>;
}

export type BuildsOptions = Omit<BuildEngine, "stepsUnderWay" | "cacheMounts" | "results"> & { database: Database };

/** Opens the builder; what builds of an earlier daemon left is thrown away first. */
export async function openBuilds(options: BuildsOptions): Promise<Builds> {
  const engine: BuildEngine = {
    ...options,
    stepsUnderWay: new Map(),
    cacheMounts: openCacheMounts(options.roots),
    results: openResults(options.database, options.layers),
  };
  await sweep(engine);
  const running = new Set<Promise<void>>();
  const closing = new AbortController();
  return {
    build(request, output, signal) {
      const work = buildClassic(engine, request, output, AbortSignal.any([signal, closing.signal]));
      running.add(work);
      return work.finally(() => running.delete(work));
    },
    async [Symbol.asyncDispose]() {
      closing.abort(new Error("the daemon is shutting down"));
      await Promise.allSettled(running);
    },
  };
}

async function sweep({ roots, layers }: BuildEngine): Promise<void> {
  const secrets = paths.buildSecrets(roots);
  for (const name of await readdir(secrets)) await rm(path.join(secrets, name), { force: true });
  for (const id of await readdir(paths.builds(roots))) {
    const folder = paths.build(roots, id);
    for (const name of await readdir(path.join(folder, "mounts")).catch(() => []))
      await layers.unmountReadOnly(path.join(folder, "mounts", name));
    await rm(folder, { recursive: true, force: true });
  }
}

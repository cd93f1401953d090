import { readdir, rm } from "node:fs/promises";
import path from "node:path";

import { EngineError } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import type { ChildPool } from "../../store/child/pool.ts";
import type { Database } from "../../store/database.ts";
import type { LayerDriver } from "../../store/layers.ts";
import { paths, type Roots } from "../../store/roots.ts";
import type { Containers } from "../containers/containers.ts";
import type { Events } from "../events/events.ts";
import type { Images } from "../images/images.ts";
import type { Builds } from "./builds.ts";
import { type BuildCache, openBuildCache } from "./cache/build-cache.ts";
import { type CacheMounts, openCacheMounts, sweepCacheMounts } from "./cache/cache-mounts.ts";
import type { CachePolicy } from "./cache/policy.ts";
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
  cache: BuildCache;
  results: Results;
  /** Steps under way, by their keys: another build with the same step waits for it instead of doing it too. */
  stepsUnderWay: Map<string, Promise<string | undefined>>;
}

export type BuildsOptions = Omit<BuildEngine, "stepsUnderWay" | "cacheMounts" | "cache" | "results"> & {
  database: Database;
  cachePolicy: CachePolicy;
  events: Events;
};

/** Opens the builder; what builds of an earlier daemon left is thrown away first. */
export async function openBuilds(options: BuildsOptions): Promise<Builds> {
  const cacheMounts = openCacheMounts(options.roots);
  const cache = openBuildCache({ ...options, cacheMounts, policy: options.cachePolicy });
  const engine: BuildEngine = {
    ...options,
    stepsUnderWay: new Map(),
    cacheMounts,
    cache,
    results: openResults(options.database, options.layers),
  };
  await sweep(engine);
  const running = new Set<Promise<void>>();
  /** By the ids that clients gave them. */
  const cancellable = new Map<string, AbortController>();
  const closing = new AbortController();
  return {
    build(request, output, signal) {
      const own = new AbortController();
      if (request.id !== undefined) cancellable.set(request.id, own);
      const work = buildClassic(engine, request, output, AbortSignal.any([signal, closing.signal, own.signal]));
      running.add(work);
      const told = work.catch((error: unknown) => {
        // Not in the words of whatever was stopped by it.
        own.signal.throwIfAborted();
        throw error;
      });
      return told.finally(() => {
        running.delete(work);
        if (request.id !== undefined && cancellable.get(request.id) === own) cancellable.delete(request.id);
        cache.collectSoon();
      });
    },
    // Docker's words.
    cancel: (id) => cancellable.get(id)?.abort(new EngineError("system", "Build cancelled")),
    listCache: () => cache.list(),
    async pruneCache(request, signal) {
      const result = await cache.prune(request, signal);
      const actor = { id: "", attributes: { reclaimed: String(result.reclaimedBytes) } };
      options.events.publish({ type: "builder", action: "prune", actor });
      return result;
    },
    async [Symbol.asyncDispose]() {
      closing.abort(new Error("the daemon is shutting down"));
      await Promise.allSettled(running);
      await cache[Symbol.asyncDispose]();
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
  await sweepCacheMounts(roots);
}

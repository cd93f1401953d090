import { EngineError } from "../../base/errors.ts";
import { shortId } from "../../base/ids.ts";
import type { FinishedLayer, LayerContent, StagedLayer } from "../../store/layers.ts";
import type { ProgressLine } from "./images.ts";
import type { ImageEngine } from "./open-images.ts";
import type { Reference } from "./reference.ts";
import type { Descriptor } from "./registry/manifest.ts";
import type { RegistrySession } from "./registry/registry-session.ts";

/**
 * Layers on their way into the store, shared by all pulls that want the same one: it is downloaded and unpacked once, each pull hears of the
 * progress, and only when the last has gone away is the work given up. A layer is known by its chainID, so those below it are the same too.
 *
 * A job works with the registry and the credentials of whoever began it; when it fails, the others begin again with their own.
 */
export interface LayerJobs {
  /** Begins a layer, or takes part in it. Without any waiting in between, so that all layers of a pull belong together. */
  join(request: LayerJobRequest): LayerShare;
}

export interface LayerJobRequest {
  session: RegistrySession;
  reference: Reference;
  layer: Descriptor;
  diffId: string;
  chainId: string;
  /** The layer below: one of this pull, or the chainID of one that is in the store; undefined at the bottom. */
  below: LayerShare | string | undefined;
  tell: TellLayer;
}

/** Lines of one layer, in Docker's form. */
export type TellLayer = (line: Omit<ProgressLine, "id">) => void;

export interface LayerShare {
  readonly chainId: string;
  /** False: somebody else began it. */
  readonly isOwn: boolean;
  readonly staged: Promise<StagedLayer>;
  /** Unpacked and complete, and all layers below it too; not yet durable. */
  readonly done: Promise<FinishedLayer>;
  /** The last to leave throws away what was not committed. */
  leave(): Promise<void>;
}

interface Job {
  users: Map<object, TellLayer>;
  giveUp: AbortController;
  staged: Promise<StagedLayer>;
  done: Promise<FinishedLayer>;
}

type Engine = Omit<ImageEngine, "layerJobs">;

export function openLayerJobs(engine: Engine): LayerJobs {
  const jobs = new Map<string, Job>();

  const begin = (request: LayerJobRequest, users: Job["users"]): Job => {
    const { chainId, below } = request;
    const tell: TellLayer = (line) => {
      for (const each of users.values()) each(line);
    };
    const giveUp = new AbortController();
    const stage = async (): Promise<StagedLayer> => engine.layers.stage(typeof below === "object" ? await below.staged : below);
    const staged = stage();
    const job: Job = { users, giveUp, staged, done: bringLayer(engine, { ...request, tell }, staged, giveUp.signal) };
    staged.catch(() => undefined);
    job.done.catch(() => {
      if (jobs.get(chainId) === job) jobs.delete(chainId);
    });
    jobs.set(chainId, job);
    return job;
  };

  return {
    join(request) {
      const { chainId } = request;
      const known = jobs.get(chainId);
      const self = {};
      // The first line may come at once.
      const job = known ?? begin(request, new Map([[self, request.tell]]));
      job.users.set(self, request.tell);
      return {
        chainId,
        isOwn: known === undefined,
        staged: job.staged,
        done: job.done,
        async leave() {
          if (!job.users.delete(self) || job.users.size > 0) return;
          if (jobs.get(chainId) === job) jobs.delete(chainId);
          job.giveUp.abort(new EngineError("system", "canceled"));
          // Only then has the child let go of the folder.
          await job.done.catch(() => undefined);
          await job.staged.then((staged) => staged.abort()).catch(() => undefined);
        },
      };
    },
  };
}

/** Downloads a layer, unpacks it, and completes it when those below it are. */
async function bringLayer(
  engine: Engine,
  request: LayerJobRequest,
  stagedSoon: Promise<StagedLayer>,
  signal: AbortSignal,
): Promise<FinishedLayer> {
  const { chainId, diffId, below, tell } = request;
  const { bytes } = await downloadAndUnpack(engine, request, stagedSoon, signal);
  const staged = await stagedSoon;
  if (typeof below === "object") await below.done;
  await staged.complete(signal);
  tell({ status: "Pull complete", progressDetail: {} });
  return { staged, chainId, parent: typeof below === "object" ? below.chainId : below, diffId, bytes };
}

async function downloadAndUnpack(
  engine: Engine,
  { session, reference, layer, diffId, tell }: LayerJobRequest,
  staged: Promise<StagedLayer>,
  signal: AbortSignal,
): Promise<LayerContent> {
  const total = layer.sizeBytes;
  const download = await engine.downloads.fetch(
    {
      session,
      reference,
      layer,
      onWaiting: () => tell({ status: "Waiting", progressDetail: {} }),
      onBytes: (current) => tell({ status: "Downloading", progressDetail: { current, total } }),
      onRetry: (pauseMs) => tell({ status: retryLine(pauseMs), progressDetail: {} }),
    },
    signal,
  );
  let isUnpacked = false;
  try {
    tell({ status: "Verifying Checksum", progressDetail: {} });
    tell({ status: "Download complete", progressDetail: {} });
    const what = `unpacking layer ${shortId(layer.digest)}`;
    const progress = (current: number): void => tell({ status: "Extracting", progressDetail: { current, total } });
    const result = await (await staged).apply({ path: download.path, what, progress }, signal);
    progress(total);
    if (result.diffId !== diffId) {
      throw new EngineError(
        "invalid",
        `layers from manifest don't match image configuration: layer ${layer.digest} unpacks to ${result.diffId}, not to ${diffId}`,
      );
    }
    isUnpacked = true;
    return result;
  } finally {
    await download.release({ keep: !isUnpacked });
  }
}

export function retryLine(pauseMs: number): string {
  const seconds = Math.max(1, Math.round(pauseMs / 1000));
  return `Retrying in ${seconds} second${seconds === 1 ? "" : "s"}`;
}

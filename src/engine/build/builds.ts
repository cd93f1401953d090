import type { BuildStep } from "../../api/build-request.ts";
import type { RegistryAuth } from "../images/images.ts";
import type { PruneRequest, PruneResult } from "./cache/build-cache.ts";
import type { CacheRecord } from "./cache/choose.ts";
import type { BuildContext } from "./context/open-context.ts";
import type { Platform } from "../images/platform.ts";

/**
 * Builds: from a Dockerfile and a context to an image.
 *
 * Words. A *step* is one instruction of a Dockerfile. An *operation* is what a step does to files: take a source, run a process, change
 * files, merge layers (graph/). A *view* says how a client sees a build; `classic/` is Docker's oldest: `POST /build`, one image per step.
 *
 * Invariants. A step's layer is made in a private, staged layer, on top of that of the step before, which need not be durable yet. What a
 * build has printed as done is durable before its last line; a build that fails or is cancelled keeps the steps that were done, as images
 * without a name: they are its cache, and what one can run to see why the next step failed. Content comes from clients: it is read in child
 * processes, and never leads out of the layer or the context.
 *
 * State. `builds/ID` under the data root, for as long as the build runs; start-up deletes what was left. Cached steps are images with a step
 * key (engine/images/image-store.ts).
 */
export interface Builds {
  /** Resolves when the image is there and durable. What fails before the first line of output is an ordinary error. */
  build(request: BuildRequest, output: BuildOutput, signal: AbortSignal): Promise<void>;
  /** Ends a build that a client gave this id; none: nothing to do. */
  cancel(id: string): void;

  /** What is in the build cache (cache/build-cache.ts). */
  listCache(): Promise<CacheRecord[]>;
  pruneCache(request: PruneRequest, signal?: AbortSignal): Promise<PruneResult>;

  [Symbol.asyncDispose](): Promise<void>;
}

export interface BuildRequest {
  /** By which it may be cancelled. */
  id: string | undefined;
  context: BuildContext;
  /** Path of the Dockerfile within the context. */
  dockerfile: string;
  /** Names for the image. */
  tags: string[];
  /** A value of undefined: the client names it and has none. */
  buildArgs: Map<string, string | undefined>;
  labels: Map<string, string>;
  /** Name or number of the stage that is wanted; empty: the last. */
  target: string;
  noCache: boolean;
  /** Names or numbers of stages whose steps are not taken from the cache. */
  noCacheFilter: ReadonlySet<string>;
  /** Further contexts by their names: folders, repositories, URLs, or `docker-image://…`. */
  contexts: ReadonlyMap<string, string>;
  /** Look for mistakes in the Dockerfile and build nothing. */
  check: boolean;
  /** Ask the registry for a newer base image in any case. */
  pull: boolean;
  /** Images that serve as cache, in place of what is in it. */
  cacheFrom: readonly string[];
  /** One layer in place of those above the base. */
  squash: boolean;
  /** When to say that intermediate containers were removed: never, after steps that went well, or always. */
  removal: "never" | "onSuccess" | "always";
  /** Only the image's id. */
  quiet: boolean;
  platform: Platform | undefined;
  /** Of every process that a step runs; the members of the Engine API's HostConfig. */
  hostConfig: Record<string, unknown>;
  /** Modes of the network that a RUN may ask for, and of its security (`--allow`). */
  allowed: ReadonlySet<string>;
  /** For RUN --mount=type=secret, by id. Never logged. */
  secrets: Map<string, Buffer>;
  /** For RUN --mount=type=ssh: sockets of the client's agents on this machine, by id. */
  sshAgents: Map<string, string>;
  /** By registry host. */
  auth: Map<string, RegistryAuth>;
}

/** Where a build's text goes. */
export interface BuildOutput {
  text(text: string): void;
  /** What a RUN wrote to stderr. */
  errorText(text: string): void;
  /** The id of the image that was made. */
  imageId(id: string): void;
  /** What could be better in the Dockerfile. */
  warning(text: string): void;
  /** What becomes of a step, as it happens; the text stays in order and so comes later. */
  step(step: BuildStep): void;
}

/** A RUN that ended with another status than 0. */
export class StepFailedError extends Error {
  readonly exitCode: number;

  constructor(message: string, exitCode: number) {
    super(message);
    this.name = "StepFailedError";
    this.exitCode = exitCode;
  }
}

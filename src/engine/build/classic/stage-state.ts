import type { HistoryEntry, ContainerDefaults } from "../../images/image-config.ts";
import type { Image } from "../../images/images.ts";
import type { Vertex } from "../graph/operation.ts";
import type { StageArgs } from "./build-args.ts";

/** A stage between two steps: the image it is so far, and what the next step needs to know. A step gives a new one. */
export interface StageState {
  /** Empty for `FROM scratch`. */
  imageId: string;
  /** What its FROM names. */
  baseId: string;
  config: ContainerDefaults;
  author: string;
  os: string;
  architecture: string;
  variant: string | undefined;
  history: HistoryEntry[];
  diffIds: string[];
  /** Its files. */
  files: Vertex;
  /** The chainID of its files. */
  chainId: string | undefined;
  /** With `--cache-from`: the images that serve as cache. */
  cacheSources: readonly Image[] | undefined;
  /** A step was not found in the cache, so none that follows will be. */
  isPastCache: boolean;
  /** CMD was set in this stage: ENTRYPOINT leaves it. */
  cmdWasSet: boolean;
  args: StageArgs;
}

const DEFAULT_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** The environment with a PATH, which every image that is built here gets. */
export function withPath(environment: readonly string[]): string[] {
  return environment.some((entry) => entry.startsWith("PATH=")) ? [...environment] : [...environment, DEFAULT_PATH];
}

/** What a variable means in an instruction: of several entries the last counts, ENV before ARG. */
export function variableOf(state: StageState): (name: string) => string | undefined {
  const environment = state.config.Env ?? [];
  const values = state.args.values(environment);
  for (const entry of environment) {
    const equals = entry.indexOf("=");
    values.set(equals === -1 ? entry : entry.slice(0, equals), equals === -1 ? "" : entry.slice(equals + 1));
  }
  return (name) => values.get(name);
}

import { createHash } from "node:crypto";

import { newId } from "../../../base/ids.ts";
import { formatTime, nowNs } from "../../../base/time.ts";
import { encodeJson } from "../../../api/json.ts";
import { digestOf } from "../../../store/blobs.ts";
import type { ContainerDefaults } from "../../images/image-config.ts";
import { chainIdsOf } from "../../images/image-store.ts";
import type { Stage } from "../../../dockerfile/syntax.ts";
import type { Image } from "../../images/images.ts";
import { sourceVertex, type Vertex } from "../graph/operation.ts";
import type { Solved } from "../graph/solver.ts";
import { findInSources, isPartOf, restoredImage, type SourceStep } from "./cache-from.ts";
import { configMembers, stepImageJson } from "./image-json.ts";
import type { StageState } from "./stage-state.ts";
import { shellOf } from "../../images/config-instructions.ts";
import type { StepText } from "./transcript.ts";
import type { ClassicBuild } from "./build.ts";

/** One step at work: its build, its text, and what it begins with. */
export interface Step {
  build: ClassicBuild;
  stage: Stage;
  text: StepText;
  state: StageState;
  /** Of the line that the step is written on. */
  escape: "\\" | "`";
}

/** Of an archive without entries. */
const EMPTY_DIFF_ID = "sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef";

/** What a step makes beside the config: files, or nothing. */
export interface StepResult {
  containerId: string | undefined;
  files: { vertex: Vertex; solved: Solved } | undefined;
}

/**
 * A step whose image is known by the config of its container, as in Docker's classic builder: when a step has done the same to the same
 * parent before, its image is taken; a step that another build is about to end is waited for; else `work` is done, and the image made.
 */
export async function cachedStep(
  step: Step,
  containerConfig: ContainerDefaults,
  next: ContainerDefaults,
  work: () => Promise<StepResult>,
  further: readonly string[] = [],
): Promise<StageState> {
  const { build, state, text } = step;
  // A named context is no image, and no nothing either.
  const key = stepKey(state.imageId || (state.chainId ?? ""), containerConfig, further);
  const looksUp = !state.isPastCache && !build.isWithoutCache(step.stage);
  for (;;) {
    const known = looksUp ? findKnown(step, key) : undefined;
    if (known !== undefined) {
      text.useCache();
      build.engine.cache.noteUse(known.id);
      return stateAfter(step, next, known);
    }
    // What Docker's history does not tell cannot be found by it.
    const isTold = further.every((one) => one === "");
    const found = looksUp && isTold ? findInSources(state, (containerConfig.Cmd ?? []).join(" ")) : undefined;
    if (found !== undefined) {
      text.useCache();
      return takeFromSource(step, key, next, found);
    }
    const other = looksUp ? build.engine.stepsUnderWay.get(key) : undefined;
    if (other === undefined) break;
    if ((await other) === undefined) build.run.signal.throwIfAborted();
  }
  const underWay = Promise.withResolvers<string | undefined>();
  build.engine.stepsUnderWay.set(key, underWay.promise);
  const settle = (id: string | undefined): void => {
    if (build.engine.stepsUnderWay.get(key) === underWay.promise) build.engine.stepsUnderWay.delete(key);
    underWay.resolve(id);
  };
  try {
    const { containerId, files } = await work();
    // Nothing was changed: as in Docker, an image without a layer of its own.
    const result = { containerId, files: files?.solved.diffIds.at(-1) === EMPTY_DIFF_ID ? undefined : files };
    return makeImage(step, key, containerConfig, next, result, settle);
  } catch (error) {
    settle(undefined);
    throw error;
  }
}

/** The image of the step, by itself; with `--cache-from` only where it is part of one of the images named. */
function findKnown({ build, state }: Step, key: string): Image | undefined {
  const { images } = build.engine;
  const known = images.findStep(key);
  if (known === undefined || state.cacheSources === undefined) return known;
  return isPartOf(images, state.cacheSources, known.id) ? known : undefined;
}

function stateAfter({ build, state }: Step, next: ContainerDefaults, { id, config, chainId }: Image): StageState {
  build.pin.hold(id);
  for (const below of chainIdsOf(config.rootfs.diff_ids)) build.pin.hold(below);
  const files = sourceVertex(build.engine.layers, chainId);
  return { ...state, config: next, imageId: id, history: config.history ?? [], diffIds: config.rootfs.diff_ids, chainId, files };
}

/** The source itself when this is its last step, which then has been made from the image so far; else an image that leads to it. */
async function takeFromSource(step: Step, key: string, next: ContainerDefaults, found: SourceStep): Promise<StageState> {
  const { build, state } = step;
  const { source, diffId, isLast } = found;
  if (isLast) {
    await build.committer.done();
    if (state.imageId !== "") await build.engine.images.adopt(source.id, state.imageId);
    return stateAfter(step, next, source);
  }
  const { bytes, history } = restoredImage(state, next, found, build.engine.serverVersion);
  const imageId = digestOf(bytes);
  const diffIds = [...state.diffIds, ...(diffId === undefined ? [] : [diffId])];
  const chainId = chainIdsOf(diffIds).at(-1);
  build.pin.hold(imageId);
  for (const below of chainIdsOf(source.config.rootfs.diff_ids)) build.pin.hold(below);
  const parent = state.imageId === "" ? undefined : state.imageId;
  // Found only by those who name the source: others need not trust where it came from.
  const image = { configBytes: bytes, parent, key: `from ${source.id} ${key}` };
  build.committer.add({ image, layer: undefined, keys: [], onDone: () => undefined });
  const files = sourceVertex(build.engine.layers, chainId);
  // From here on only this one, as in Docker.
  return { ...state, config: next, imageId, history, diffIds, chainId, files, cacheSources: [source] };
}

function makeImage(
  { state, build }: Step,
  key: string,
  containerConfig: ContainerDefaults,
  next: ContainerDefaults,
  { containerId, files }: StepResult,
  settle: (id: string | undefined) => void,
): StageState {
  const created = formatTime(nowNs());
  const diffId = files?.solved.diffIds.at(-1);
  const { bytes, history } = stepImageJson(
    { ...state, config: next },
    { containerConfig, containerId, diffId, created, serverVersion: build.engine.serverVersion },
  );
  const imageId = digestOf(bytes);
  const { diffIds, chainId } = files?.solved ?? state;
  build.pin.hold(imageId);
  if (chainId !== undefined) build.pin.hold(chainId);
  build.committer.add({
    image: { configBytes: bytes, parent: state.imageId === "" ? undefined : state.imageId, key },
    layer: files?.solved.made,
    keys: files?.solved.keys ?? [],
    onDone: (isDone) => settle(isDone ? imageId : undefined),
  });
  return { ...state, config: next, imageId, history, diffIds, chainId, files: files?.vertex ?? state.files, isPastCache: true };
}

/** What a step does to its parent, as a digest: the parent, what Docker compares of the container's config, and what Docker's has not. */
function stepKey(parent: string, config: ContainerDefaults, further: readonly string[]): string {
  const { Hostname: _, Domainname: __, ...compared } = config;
  return createHash("sha256")
    .update(encodeJson([parent, configMembers(compared, ""), ...further]))
    .digest("hex");
}

/** A step that only changes the config. It is said to have a container, as Docker's has. */
export function metadataStep(step: Step, comment: string[], next: ContainerDefaults): Promise<StageState> {
  const containerConfig: ContainerDefaults = { ...next, Cmd: [...shellOf(next), ...comment], Labels: next.Labels ?? {} };
  return cachedStep(step, containerConfig, next, () => {
    const containerId = newId();
    containerConfig.Hostname = containerId.slice(0, 12);
    step.text.write(` ---> Running in ${containerConfig.Hostname}\n`);
    step.build.sayRemoved(step.text, containerId);
    return Promise.resolve({ containerId, files: undefined });
  });
}

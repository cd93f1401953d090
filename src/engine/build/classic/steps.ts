import { createHash } from "node:crypto";

import { newId } from "../../../base/ids.ts";
import { formatTime, nowNs } from "../../../base/time.ts";
import { encodeJson } from "../../../api/json.ts";
import { digestOf } from "../../../store/blobs.ts";
import type { ContainerDefaults } from "../../images/image-config.ts";
import { chainIdsOf } from "../../images/image-store.ts";
import type { Stage } from "../../../dockerfile/syntax.ts";
import { sourceVertex, type Vertex } from "../graph/operation.ts";
import type { Solved } from "../graph/solver.ts";
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
    const known = looksUp ? build.engine.images.findStep(key) : undefined;
    if (known !== undefined) {
      text.useCache();
      build.engine.cache.noteUse(known.id);
      build.pin.hold(known.id);
      for (const chainId of chainIdsOf(known.config.rootfs.diff_ids)) build.pin.hold(chainId);
      const files = sourceVertex(build.engine.layers, known.chainId);
      const { history = [], rootfs } = known.config;
      return { ...state, config: next, imageId: known.id, history, diffIds: rootfs.diff_ids, chainId: known.chainId, files };
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

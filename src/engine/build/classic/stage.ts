import { EngineError } from "../../../base/errors.ts";
import { shortId } from "../../../base/ids.ts";
import { hostPlatform, parsePlatform } from "../../images/platform.ts";
import { expandWord } from "../../../dockerfile/expand.ts";
import { parseInstruction } from "../../../dockerfile/parse.ts";
import { DockerfileError } from "../../../dockerfile/dockerfile-error.ts";
import type { Instruction } from "../../../dockerfile/syntax.ts";
import type { Selected, SelectRequest } from "../context/select.ts";
import type { TreeSource } from "../context/tree-source.ts";
import { sourceVertex, Vertex } from "../graph/operation.ts";
import type { ClassicBuild } from "./build.ts";
import { argStep, configStep, maintainerStep } from "./config-steps.ts";
import { cacheSources } from "./cache-from.ts";
import { copyStep, workdirStep } from "./file-steps.ts";
import { findBase } from "./find-base.ts";
import { imageNamed, namedPlace } from "./places.ts";
import type { PlannedStage } from "./plan.ts";
import { runStep } from "./run-step.ts";
import { type StageState, withPath } from "./stage-state.ts";
import type { Step } from "./steps.ts";
import type { StepText } from "./transcript.ts";

/** One stage, step by step. */
export async function runStage(build: ClassicBuild, planned: PlannedStage): Promise<StageState> {
  const [fromText, ...texts] = planned.texts;
  if (fromText === undefined) throw new Error("a stage without a text");
  let state = await placed(build, planned.stage.from, () => begin(build, planned, fromText));
  for (const [index, instruction] of planned.stage.instructions.entries()) {
    const text = texts[index];
    if (text === undefined) throw new Error("a step without a text");
    text.begin();
    const step: Step = { build, stage: planned.stage, text, state, escape: build.dockerfile.directives.escape };
    state = await placed(build, instruction, () => runInstruction(step, instruction));
    text.write(` ---> ${shortId(state.imageId)}\n`);
    text.end();
  }
  return state;
}

/** What fails says at which instruction. */
async function placed<Result>(
  { dockerfile }: ClassicBuild,
  { range }: Pick<Instruction, "range">,
  work: () => Promise<Result>,
): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof EngineError) || error instanceof DockerfileError) throw error;
    throw new DockerfileError(error.message, range, dockerfile.source, { cause: error });
  }
}

/** FROM: an earlier stage, `scratch`, or an image, whose triggers are run. */
async function begin(build: ClassicBuild, { stage }: PlannedStage, text: StepText): Promise<StageState> {
  const { from } = stage;
  text.begin();
  const escape = build.dockerfile.directives.escape;
  const global = (name: string): string | undefined => build.args.global(name);
  const name = expandWord(from.image, global, escape);
  if (name === "") throw new EngineError("invalid", `base name (${from.image}) should not be blank`);
  const earlier = build.stages.findLast((other) => other.stage.index < stage.index && other.stage.name === name.toLowerCase());
  let state = earlier === undefined ? await stateOf(build, stage.from.platform, name, escape) : await inherit(build, earlier);
  state = { ...state, baseId: state.imageId, cacheSources: cacheSources(build.engine.images, build.request.cacheFrom) };
  const triggers = state.config.OnBuild ?? [];
  if (triggers.length > 0) {
    state = { ...state, config: { ...state.config, OnBuild: null } };
    text.write(`# Executing ${triggers.length} build trigger${triggers.length > 1 ? "s" : ""}\n`);
    for (const trigger of triggers) state = await runInstruction({ build, stage, text, state, escape }, parseInstruction(trigger));
  }
  text.write(` ---> ${shortId(state.imageId)}\n`);
  text.end();
  return state;
}

async function inherit(build: ClassicBuild, earlier: PlannedStage): Promise<StageState> {
  const state = await earlier.state;
  return { ...state, args: build.args.openStage(), isPastCache: false, cmdWasSet: false };
}

async function stateOf(build: ClassicBuild, platformWord: string | undefined, name: string, escape: Step["escape"]): Promise<StageState> {
  const word = platformWord === undefined ? "" : expandWord(platformWord, (key) => build.args.global(key), escape);
  const platform = word === "" ? build.request.platform : parsePlatform(word);
  const args = build.args.openStage();
  const fresh = { baseId: "", cacheSources: undefined, author: "", isPastCache: false, cmdWasSet: false, args };
  if (name === "scratch") {
    const { os, architecture, variant } = platform ?? hostPlatform();
    const empty = { imageId: "", history: [], diffIds: [], files: sourceVertex(build.engine.layers, undefined), chainId: undefined };
    return { ...fresh, ...empty, os, architecture, variant, config: { Env: withPath([]) } };
  }
  const named = await namedPlace(build, name);
  if (named?.kind === "tree") return stateOfTree(build, named.source, { ...fresh, ...(platform ?? hostPlatform()) });
  const image = await findBase(build, imageNamed(build, name), platform);
  return {
    ...fresh,
    imageId: image.id,
    config: { ...image.config.config, Env: withPath(image.config.config?.Env ?? []) },
    author: image.config.author ?? "",
    os: image.config.os,
    architecture: image.config.architecture,
    variant: image.config.variant,
    history: image.config.history ?? [],
    diffIds: image.config.rootfs.diff_ids,
    files: sourceVertex(build.engine.layers, image.chainId),
    chainId: image.chainId,
  };
}

/** `FROM` of a named context: its files, and no config. */
async function stateOfTree(
  build: ClassicBuild,
  source: TreeSource,
  fresh: Pick<StageState, "author" | "baseId" | "cacheSources" | "isPastCache" | "cmdWasSet" | "args" | "os" | "architecture"> & {
    variant?: string | undefined;
  },
): Promise<StageState> {
  const { engine, run, solver, committer } = build;
  const request: SelectRequest = { source, paths: ["."], excludes: [], parents: false };
  const { items, sums } = (await run.child("selectFiles", request, "reading a named context")) as Selected;
  const copies = [{ source, items, excludes: [], parents: false, unpacks: false }];
  const base = sourceVertex(engine.layers, undefined);
  const files = new Vertex({ kind: "file", base, copies, sums, destination: "/", owner: undefined, mode: undefined });
  const { made, keys, diffIds, chainId } = await solver.solve(files);
  if (chainId !== undefined) build.pin.hold(chainId);
  if (made !== undefined) committer.add({ image: undefined, layer: made, keys, onDone: () => undefined });
  return { ...fresh, variant: fresh.variant, imageId: "", config: { Env: withPath([]) }, history: [], diffIds, chainId, files };
}

function runInstruction(step: Step, instruction: Instruction): Promise<StageState> {
  step.build.run.signal.throwIfAborted();
  switch (instruction.kind) {
    case "run":
      return runStep(step, instruction);
    case "copy":
    case "add":
      return copyStep(step, instruction);
    case "workdir":
      return workdirStep(step, instruction);
    case "arg":
      return argStep(step, instruction);
    case "maintainer":
      return maintainerStep(step, instruction);
    case "cmd":
    case "entrypoint":
    case "env":
    case "expose":
    case "healthcheck":
    case "label":
    case "onbuild":
    case "shell":
    case "stopsignal":
    case "user":
    case "volume":
      return configStep(step, instruction);
  }
}

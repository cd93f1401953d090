import { EngineError } from "../../../base/errors.ts";
import { shortId } from "../../../base/ids.ts";
import { parseSignal } from "../../containers/signals.ts";
import type { Pin } from "../../images/images.ts";
import { familiarReference, parseReference, withDefaultTag } from "../../images/reference.ts";
import type { BuildOutput, BuildRequest } from "../builds.ts";
import { openContext } from "../context/open-context.ts";
import type { TreeSource } from "../context/tree-source.ts";
import { expandWord } from "../../../dockerfile/expand.ts";
import { parseDockerfile } from "../../../dockerfile/parse.ts";
import type { Dockerfile, Stage } from "../../../dockerfile/syntax.ts";
import { BuildRun } from "../graph/build-run.ts";
import { Solver } from "../graph/solver.ts";
import type { BuildEngine } from "../open-builds.ts";
import { BuildArgs } from "./build-args.ts";
import { findMistakes, tellMistakes } from "./check.ts";
import { Committer } from "./committer.ts";
import { KeptOutput } from "./kept-output.ts";
import { squash } from "./squash.ts";
import { planStages, type PlannedStage } from "./plan.ts";
import { platformArgs } from "./platform-args.ts";
import type { StageState } from "./stage-state.ts";
import { type StepText, Transcript } from "./transcript.ts";

/** What all steps of one classic build share. */
export interface ClassicBuild {
  engine: BuildEngine;
  run: BuildRun;
  solver: Solver;
  request: BuildRequest;
  dockerfile: Dockerfile;
  args: BuildArgs;
  pin: Pin;
  transcript: Transcript;
  committer: Committer;
  stages: PlannedStage[];
  context: TreeSource;
  namedContexts: Map<string, Promise<TreeSource>>;
  /** Whether a stage's steps must be done, whatever there is. */
  isWithoutCache(stage: Stage): boolean;
  checkSignal(signal: string): void;
  sayRemoved(text: StepText, containerId: string): void;
}

/**
 * `POST /build` as Docker's classic builder answers it (moby 28, daemon/builder/dockerfile): reads the context, plans the stages, runs them
 * side by side as far as they do not need each other, and says in Docker's order what they did.
 */
export async function buildClassic(engine: BuildEngine, request: BuildRequest, output: BuildOutput, signal: AbortSignal): Promise<void> {
  const names = request.tags.map((tag) => withDefaultTag(parseReference(tag)));
  const failure = new AbortController();
  await using run = new BuildRun(engine, AbortSignal.any([signal, failure.signal]));
  await run.open();
  using pin = engine.images.pin();

  const context = await openContext(run, request);
  const dockerfile = parseDockerfile(context.dockerfile, request.dockerfile);
  const mistakes = findMistakes(engine, request, dockerfile, context.ignore);
  if (request.check) return tellMistakes(dockerfile, request.dockerfile, mistakes, output);
  for (const { rule, detail, range } of mistakes) output.warning(`${rule}: ${detail} (line ${range.start.line})`);

  const kept = new KeptOutput(output);
  const told = request.quiet ? kept : output;
  const transcript = new Transcript(told);
  const args = new BuildArgs(request.buildArgs, platformArgs(request.platform));
  const build: ClassicBuild = {
    engine,
    run,
    solver: new Solver(run),
    request,
    dockerfile,
    args,
    pin,
    transcript,
    committer: new Committer(engine),
    stages: planStages(dockerfile, request),
    context: context.source,
    namedContexts: new Map(),
    isWithoutCache: ({ name, index }) =>
      request.noCache || request.noCacheFilter.has(String(index)) || (name !== undefined && request.noCacheFilter.has(name)),
    checkSignal: (word) => void parseSignal(word),
    sayRemoved: (text, id) => {
      if (request.removal !== "never") text.write(`Removing intermediate container ${shortId(id)}\n`);
    },
  };

  for (const { message } of dockerfile.warnings) told.errorText(`[WARNING]: ${message}\n`);
  if (dockerfile.warnings.length > 0) told.errorText("[WARNING]: Empty continuation lines will become errors in a future release.\n");

  let last: StageState;
  try {
    last = await runStages(build);
  } catch (error) {
    failure.abort(error);
    // The steps that are done stay: they are the cache, and what the next try begins with.
    await Promise.allSettled(build.stages.map(({ state }) => state));
    await build.committer.done().catch(() => undefined);
    signal.throwIfAborted();
    transcript.flush();
    kept.tell();
    throw error;
  }
  await build.committer.done();
  if (last.imageId === "") throw new EngineError("system", "No image was generated. Is your Dockerfile empty?");
  if (request.squash && !request.quiet) output.imageId(last.imageId);
  const imageId = request.squash ? await squash(run, last.imageId, last.baseId) : last.imageId;
  await engine.images.markResult(imageId);
  const unused = args.unused();
  if (unused.length > 0 && !request.quiet) output.text(`[Warning] One or more build-args [${unused.join(" ")}] were not consumed\n`);
  if (!request.quiet) {
    output.imageId(imageId);
    output.text(`Successfully built ${shortId(imageId)}\n`);
  }
  for (const name of names) {
    await engine.images.tag(imageId, familiarReference({ ...name, tag: undefined }), name.tag ?? "latest");
    if (!request.quiet) output.text(`Successfully tagged ${familiarReference(name)}\n`);
  }
  if (request.quiet) output.text(`${imageId}\n`);
}

/** Runs the ARGs before the first FROM, then all stages side by side; the state of the last. */
async function runStages(build: ClassicBuild): Promise<StageState> {
  const { dockerfile, transcript, args, stages } = build;
  const total = dockerfile.globalArgs.length + stages.reduce((sum, { stage }) => sum + 1 + stage.instructions.length, 0);
  let number = 0;
  const announce = (original: string, stage = ""): StepText => {
    number += 1;
    const text = transcript.addStep(original, stage);
    text.write(`Step ${number}/${total} : ${original}`);
    text.write("\n");
    return text;
  };
  for (const { original, pairs } of dockerfile.globalArgs) {
    const text = announce(original);
    for (const { name, value } of pairs) {
      args.addGlobal(name, value === undefined ? undefined : expandWord(value, (key) => args.global(key), dockerfile.directives.escape));
    }
    text.end();
  }
  for (const planned of stages)
    planned.texts = [planned.stage.from, ...planned.stage.instructions].map(({ original }) => announce(original, planned.name));
  for (const planned of stages) planned.run(build);
  const last = stages.at(-1);
  if (last === undefined) throw new EngineError("invalid", "No image was generated. Is your Dockerfile empty?");
  const [state] = await Promise.all([last.state, ...stages.map((planned) => planned.state)]);
  return state;
}

import { EngineError } from "../../../base/errors.ts";
import type { Dockerfile, LabelInstruction, Stage } from "../dockerfile/syntax.ts";
import type { BuildRequest } from "../builds.ts";
import type { ClassicBuild } from "./build.ts";
import { runStage } from "./stage.ts";
import type { StageState } from "./stage-state.ts";
import type { StepText } from "./transcript.ts";

/** A stage of a build, and what becomes of it. Stages run side by side; one that needs another waits for its state. */
export class PlannedStage {
  readonly stage: Stage;
  texts: StepText[] = [];
  readonly #state = Promise.withResolvers<StageState>();

  constructor(stage: Stage) {
    this.stage = stage;
    // Whoever waits for it hears of a failure; nobody has to.
    this.#state.promise.catch(() => undefined);
  }

  get state(): Promise<StageState> {
    return this.#state.promise;
  }

  run(build: ClassicBuild): void {
    runStage(build, this).then(this.#state.resolve, this.#state.reject);
  }
}

/** The stages up to the one that is wanted; the last gets the labels of the request. As in Docker, all of them are built. */
export function planStages(dockerfile: Dockerfile, { target, labels }: Pick<BuildRequest, "target" | "labels">): PlannedStage[] {
  const wanted = target === "" ? dockerfile.stages.length - 1 : indexOf(dockerfile, target);
  const stages = dockerfile.stages.slice(0, wanted + 1);
  const last = stages.at(-1);
  if (last !== undefined && labels.size > 0) {
    stages[stages.length - 1] = { ...last, instructions: [...last.instructions, labelInstruction(labels, last)] };
  }
  return stages.map((stage) => new PlannedStage(stage));
}

function indexOf({ stages }: Dockerfile, target: string): number {
  const named = stages.findIndex(({ name }) => name === target.toLowerCase());
  if (named !== -1) return named;
  if (/^\d+$/.test(target) && Number(target) < stages.length) return Number(target);
  throw new EngineError("invalid", `failed to reach build target ${target} in Dockerfile`);
}

function labelInstruction(labels: ReadonlyMap<string, string>, { from }: Stage): LabelInstruction {
  // Quoted so that nothing in them is expanded.
  const quote = (text: string): string => `"${text.replaceAll(/[\\"$]/g, "\\$&")}"`;
  const pairs = [...labels].toSorted(([a], [b]) => (a < b ? -1 : 1));
  return {
    kind: "label",
    keyword: "LABEL",
    range: from.range,
    comments: [],
    original: `LABEL ${pairs.map(([name, value]) => `${name}=${value}`).join(" ")}`,
    pairs: pairs.map(([name, value]) => ({ name: quote(name), value: quote(value), legacy: false })),
  };
}

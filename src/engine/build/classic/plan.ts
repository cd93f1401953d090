import { checkStageReferences, findTarget } from "../../../dockerfile/stages.ts";
import type { Dockerfile, LabelInstruction, Stage } from "../../../dockerfile/syntax.ts";
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

  /** By which it is known to who watches. */
  get name(): string {
    return this.stage.name || String(this.stage.index);
  }

  get state(): Promise<StageState> {
    return this.#state.promise;
  }

  run(build: ClassicBuild): void {
    runStage(build, this).then(this.#state.resolve, (error: unknown) => {
      if (!build.run.signal.aborted && isNew(error)) for (const text of this.texts) text.fail();
      this.#state.reject(error);
    });
  }
}

const known = new WeakSet();

/** Stages that need the one that failed fail with the same error, and none of their steps did. */
function isNew(error: unknown): boolean {
  if (typeof error !== "object" || error === null || known.has(error)) return false;
  known.add(error);
  return true;
}

/** The stages up to the one that is wanted; the last gets the labels of the request, each as a step. As in Docker, all of them are built. */
export function planStages(dockerfile: Dockerfile, { target, labels }: Pick<BuildRequest, "target" | "labels">): PlannedStage[] {
  const count = target === "" ? dockerfile.stages.length : findTarget(dockerfile, target).index + 1;
  checkStageReferences(dockerfile, count);
  const stages = dockerfile.stages.slice(0, count);
  const last = stages.at(-1);
  if (last !== undefined) {
    const added = [...labels].toSorted(([a], [b]) => (a < b ? -1 : 1)).map((label) => labelInstruction(label, last, dockerfile));
    stages[stages.length - 1] = { ...last, instructions: [...last.instructions, ...added] };
  }
  return stages.map((stage) => new PlannedStage(stage));
}

function labelInstruction([name, value]: [string, string], { from }: Stage, { directives }: Dockerfile): LabelInstruction {
  const { escape } = directives;
  // Quoted so that nothing in them is expanded.
  const quote = (text: string): string => {
    const characters = Array.from(text, (character) => ('"$'.includes(character) || character === escape ? escape + character : character));
    return `"${characters.join("")}"`;
  };
  return {
    kind: "label",
    keyword: "LABEL",
    range: from.range,
    comments: [],
    original: `LABEL ${name}=${value}`,
    pairs: [{ name: quote(name), value: quote(value), legacy: false }],
  };
}

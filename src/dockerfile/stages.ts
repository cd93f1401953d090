/**
 * How stages name each other. A name means the nearest stage above that has it; names are case-insensitive. A number in a `--from` means the stage
 * at that place. Anything else is an image.
 */
import { suggestion } from "./suggest.ts";
import { DockerfileError } from "./dockerfile-error.ts";
import type { Dockerfile, Instruction, Stage } from "./syntax.ts";

/** The stage above stage `index` that a `--from` means; undefined for an image. */
export function stageAbove(stages: readonly Stage[], index: number, from: string): Stage | undefined {
  const above = stages.slice(0, index);
  return above.findLast((stage) => stage.name === from.toLowerCase()) ?? (isNumber(from) ? above[Number(from)] : undefined);
}

/** The stage that `--target` wants. */
export function findTarget(file: Dockerfile, target: string): Stage {
  const { stages, source } = file;
  const found = stages.find(({ name }) => name === target.toLowerCase()) ?? (isNumber(target) ? stages[Number(target)] : undefined);
  if (found !== undefined) return found;
  const names = stages.map(({ name }) => name).filter((name) => name !== undefined);
  const whole = { start: { line: 1, column: 0 }, end: { line: source.split("\n").length, column: 0 } };
  throw new DockerfileError(`target stage ${JSON.stringify(target)} could not be found${suggestion(target, names)}`, whole, source);
}

/**
 * Throws DockerfileError, with the line, for a `--from` in one of the first `count` stages that cannot be: of a stage that is not above, of stages
 * that need each other, of a number that no stage has.
 */
export function checkStageReferences(file: Dockerfile, count = file.stages.length): void {
  for (const stage of file.stages.slice(0, count)) {
    for (const reference of referencesOf(stage)) {
      const message = problemOf(file.stages, stage, reference);
      if (message !== undefined) throw new DockerfileError(message, reference.instruction.range, file.source);
    }
  }
}

interface Reference {
  from: string;
  instruction: Instruction;
}

function referencesOf({ instructions }: Stage): Reference[] {
  return instructions.flatMap((instruction) => {
    const names =
      instruction.kind === "copy" ? [instruction.from] : instruction.kind === "run" ? instruction.mounts.map(({ from }) => from) : [];
    return names.filter((from) => from !== undefined).map((from) => ({ from, instruction }));
  });
}

function problemOf(stages: readonly Stage[], stage: Stage, { from, instruction }: Reference): string | undefined {
  if (from.includes("$"))
    return "variable expansion is not supported for --from, define a new stage with FROM using ARG from global scope as a workaround";
  if (stageAbove(stages, stage.index, from) !== undefined) return undefined;
  const named = stages.find(({ name }) => name === from.toLowerCase());
  if (named === undefined) {
    if (!isNumber(from)) return undefined;
    return `invalid from flag value ${from}: ${Number(from) === stage.index ? "refers to current build stage" : "index out of bounds"}`;
  }
  const current = stage.name ?? `stage-${stage.index}`;
  if (isBuiltOn(stages, named, stage)) return `circular dependency detected on stage: ${current}`;
  if (instruction.kind === "run")
    return `cannot mount from stage ${JSON.stringify(from)}, stage needs to be defined before current command`;
  return `cannot copy from stage ${JSON.stringify(from)}, it needs to be defined before current stage ${JSON.stringify(current)}`;
}

/** Whether `stage` is, or needs in the end, `other`. */
function isBuiltOn(stages: readonly Stage[], stage: Stage, other: Stage, seen = new Set<Stage>()): boolean {
  if (stage === other) return true;
  if (seen.has(stage)) return false;
  seen.add(stage);
  const names = [stage.from.image, ...referencesOf(stage).map(({ from }) => from)];
  return names.some((name) => {
    const needed = stageAbove(stages, stage.index, name) ?? stages.find((candidate) => candidate.name === name.toLowerCase());
    return needed !== undefined && isBuiltOn(stages, needed, other, seen);
  });
}

function isNumber(text: string): boolean {
  return /^\d+$/.test(text);
}

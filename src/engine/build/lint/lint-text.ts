/** The rules that read a file as it stands. */
import type { Report } from "./lint.ts";
import type { ArgInstruction, Dockerfile, FromInstruction, Instruction, Stage } from "../../../dockerfile/syntax.ts";

const RESERVED_STAGE_NAMES = new Set(["context", "scratch"]);

export function lintText(file: Dockerfile, report: Report): void {
  for (const { range } of file.warnings) report("NoEmptyContinuation", "Empty continuation line", { range, comments: [] });
  for (const arg of file.globalArgs) lintDescription("ARG", namesOf(arg), arg, report);
  for (const stage of file.stages) {
    lintFrom(stage.from, report);
    for (const instruction of stage.instructions) lintInstruction(instruction, report);
    lintRepeated(stage, report);
  }
  lintStageNames(file.stages, report);
  lintCasing(file.stages, report);
}

function lintFrom(from: FromInstruction, report: Report): void {
  const { stageName, as, keyword } = from;
  if (stageName === undefined || as === undefined) return;
  const name = stageName.toLowerCase();
  if (stageName !== name) report("StageNameCasing", `Stage name '${stageName}' should be lowercase`, from);
  // A keyword that is neither is told of by ConsistentInstructionCasing.
  const cased = isLower(keyword) ? as.toLowerCase() : isUpper(keyword) ? as.toUpperCase() : as;
  if (as !== cased) report("FromAsCasing", `'${as}' and '${keyword}' keywords' casing do not match`, from);
  lintDescription("FROM", [name], from, report);
}

function lintInstruction(instruction: Instruction, report: Report): void {
  switch (instruction.kind) {
    case "maintainer":
      report("MaintainerDeprecated", "Maintainer instruction is deprecated in favor of using label", instruction);
      break;
    case "arg":
      lintDescription("ARG", namesOf(instruction), instruction, report);
      break;
    case "env":
    case "label": {
      const name = instruction.keyword;
      if (instruction.pairs.some(({ legacy }) => legacy))
        report("LegacyKeyValueFormat", `"${name} key=value" should be used instead of legacy "${name} key value" format`, instruction);
      break;
    }
    default:
  }
}

function namesOf(arg: ArgInstruction): string[] {
  return arg.pairs.map(({ name }) => name);
}

function lintDescription(kind: string, names: string[], where: FromInstruction | ArgInstruction, report: Report): void {
  const comment = where.comments.at(-1);
  if (comment === undefined || names.includes(comment.split(" ")[0] ?? "")) return;
  const example = names.length === 1 ? names[0] : "<arg_key>";
  report("InvalidDefinitionDescription", `Comment for ${kind} should follow the format: \`# ${example} <description>\``, where);
}

/** Told at the one that has no effect. */
function lintRepeated(stage: Stage, report: Report): void {
  for (const kind of ["cmd", "entrypoint", "healthcheck"]) {
    const all = stage.instructions.filter((instruction) => instruction.kind === kind);
    for (const [index, unused] of all.slice(0, -1).entries()) {
      const name = all[index + 1]?.keyword ?? "";
      const detail = `Multiple ${name} instructions should not be used in the same stage because only the last one will be used`;
      report("MultipleInstructionsDisallowed", detail, unused);
    }
  }
}

function lintStageNames(stages: Stage[], report: Report): void {
  const seen = new Set<string>();
  for (const { name, from } of stages) {
    if (name === undefined) continue;
    if (RESERVED_STAGE_NAMES.has(name))
      report("ReservedStageName", `Stage name should not use the same name as reserved stage "${name}"`, from);
    if (seen.has(name)) report("DuplicateStageName", `Duplicate stage name "${name}", stage names should be unique`, from);
    seen.add(name);
  }
}

function lintCasing(stages: Stage[], report: Report): void {
  const all = stages.flatMap(({ from, instructions }) => [from, ...instructions]);
  const lower = all.filter(({ keyword }) => isLower(keyword)).length;
  const upper = all.filter(({ keyword }) => isUpper(keyword)).length;
  const [isRight, casing] = lower > upper ? [isLower, "lowercase"] : [isUpper, "uppercase"];
  for (const instruction of all) {
    if (isRight(instruction.keyword)) continue;
    const detail = `Command '${instruction.keyword}' should match the case of the command majority (${casing})`;
    report("ConsistentInstructionCasing", detail, instruction);
  }
}

function isLower(text: string): boolean {
  return text === text.toLowerCase();
}

function isUpper(text: string): boolean {
  return text === text.toUpperCase();
}

import { expandWord, expandWords } from "../../../dockerfile/expand.ts";
import type * as syntax from "../../../dockerfile/syntax.ts";
import { changeConfig, type ConfigInstruction, workingDirectory } from "../../images/config-instructions.ts";
import { metadataStep, type Step } from "./steps.ts";
import { type StageState, variableOf } from "./stage-state.ts";

/** Steps that change nothing but the image's config. */
export async function configStep(step: Step, instruction: ConfigInstruction): Promise<StageState> {
  const { state, build, text } = step;
  const variable = variableOf(state);
  const expand = {
    word: (word: string): string => expandWord(word, variable, step.escape),
    words: (word: string): string[] => expandWords(word, variable, step.escape),
  };
  const { changes, comment, cmdWasSet } = changeConfig(state, instruction, expand);
  if (changes.StopSignal !== undefined) build.checkSignal(changes.StopSignal);
  if (instruction.kind === "healthcheck") {
    const before = state.config.Healthcheck?.Test ?? [];
    if (before.length > 0 && before[0] !== "NONE") text.write(`Note: overriding previous HEALTHCHECK: [${before.join(" ")}]\n`);
  }
  return { ...(await commented(step, comment, { ...state.config, ...changes })), cmdWasSet };
}

export async function argStep(step: Step, { pairs }: syntax.ArgInstruction): Promise<StageState> {
  let comment = "ARG";
  for (const { name, value } of pairs) {
    const expandedName = expandOne(step, name);
    const expandedValue = value === undefined ? undefined : expandOne(step, value);
    step.state.args.declare(expandedName, expandedValue);
    comment += ` ${expandedName}${expandedValue === undefined ? "" : `=${expandedValue}`}`;
  }
  return commented(step, comment, step.state.config);
}

/** The name is not looked into for variables. */
export function maintainerStep(step: Step, { name }: syntax.MaintainerInstruction): Promise<StageState> {
  return commented({ ...step, state: { ...step.state, author: name } }, `MAINTAINER ${name}`, step.state.config);
}

/** Where WORKDIR leads; the folder is made by file-steps.ts. */
export function workdirOf(step: Step, { path }: syntax.WorkdirInstruction): string {
  return workingDirectory(step.state.config, expandOne(step, path));
}

export function expandOne(step: Step, word: string): string {
  return expandWord(word, variableOf(step.state), step.escape);
}

function commented(step: Step, comment: string, next: StageState["config"]): Promise<StageState> {
  return metadataStep(step, ["#(nop) ", comment], next);
}

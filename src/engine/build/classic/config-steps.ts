import path from "node:path";

import { EngineError } from "../../../base/errors.ts";
import type { ContainerDefaults } from "../../images/image-config.ts";
import { expandWord, expandWords } from "../dockerfile/expand.ts";
import { exposedPorts } from "../dockerfile/ports.ts";
import type * as syntax from "../dockerfile/syntax.ts";
import { goDuration, goQuoteList, goQuoteRune } from "./go-quote.ts";
import { metadataStep, type Step } from "./steps.ts";
import { shellOf, type StageState, variableOf } from "./stage-state.ts";

/** Steps that change nothing but the image's config. Their comments are Docker's, word for word: the history shows them. */

export function envStep(step: Step, { pairs }: syntax.EnvInstruction): Promise<StageState> {
  const expanded = expandPairs(step, pairs);
  const environment = [...(step.state.config.Env ?? [])];
  for (const [name, value] of expanded) {
    if (name === "") throw new EngineError("invalid", `invalid environment variable: =${value}`);
    const at = environment.findIndex((entry) => entry.split("=", 1)[0] === name);
    if (at === -1) environment.push(`${name}=${value}`);
    else environment[at] = `${name}=${value}`;
  }
  return commented(step, `ENV${expanded.map(([name, value]) => ` ${name}=${value}`).join("")}`, { Env: environment });
}

export function labelStep(step: Step, { pairs }: Pick<syntax.LabelInstruction, "pairs">): Promise<StageState> {
  const expanded = expandPairs(step, pairs);
  const labels = new Map([...Object.entries(step.state.config.Labels ?? {}), ...expanded]);
  return commented(step, `LABEL${expanded.map(([name, value]) => ` ${name}=${value}`).join("")}`, { Labels: Object.fromEntries(labels) });
}

export async function argStep(step: Step, { pairs }: syntax.ArgInstruction): Promise<StageState> {
  let comment = "ARG";
  for (const { name, value } of pairs) {
    const expandedName = expandOne(step, name);
    const expandedValue = value === undefined ? undefined : expandOne(step, value);
    step.state.args.declare(expandedName, expandedValue);
    comment += ` ${expandedName}${expandedValue === undefined ? "" : `=${expandedValue}`}`;
  }
  return commented(step, comment, {});
}

export function cmdStep(step: Step, { command }: syntax.CmdInstruction): Promise<StageState> {
  const words = commandWords(step.state.config, command);
  return withCmdSet(commented(step, `CMD ${goQuoteList(words)}`, { Cmd: words }), !isEmpty(command) || step.state.cmdWasSet);
}

export function entrypointStep(step: Step, { command }: syntax.EntrypointInstruction): Promise<StageState> {
  const words = commandWords(step.state.config, command);
  return commented(step, `ENTRYPOINT ${goQuoteList(words)}`, {
    Entrypoint: words.length === 0 ? null : words,
    ...(step.state.cmdWasSet ? {} : { Cmd: null }),
  });
}

export function exposeStep(step: Step, { ports }: syntax.ExposeInstruction): Promise<StageState> {
  const words = ports.flatMap((port) => expandWords(port, variableOf(step.state), step.escape));
  const exposed = { ...step.state.config.ExposedPorts };
  for (const port of exposedPorts(words)) exposed[port] = {};
  return commented(step, `EXPOSE ${words.join(" ")}`, Object.keys(exposed).length === 0 ? {} : { ExposedPorts: exposed });
}

export function volumeStep(step: Step, { paths }: syntax.VolumeInstruction): Promise<StageState> {
  const expanded = paths.map((one) => expandOne(step, one).trim());
  if (expanded.includes("")) throw new EngineError("invalid", "VOLUME specified can not be an empty string");
  const volumes = new Map([...Object.keys(step.state.config.Volumes ?? {}), ...expanded].map((one) => [one, {}]));
  return commented(step, `VOLUME [${expanded.join(" ")}]`, { Volumes: Object.fromEntries(volumes) });
}

export function userStep(step: Step, { user }: syntax.UserInstruction): Promise<StageState> {
  const expanded = expandOne(step, user);
  return commented(step, `USER ${expanded}`, { User: expanded });
}

export function shellStep(step: Step, { words }: syntax.ShellInstruction): Promise<StageState> {
  return commented(step, `SHELL [${words.join(" ")}]`, { Shell: words });
}

export function stopSignalStep(step: Step, { signal }: syntax.StopSignalInstruction): Promise<StageState> {
  const expanded = expandOne(step, signal);
  step.build.checkSignal(expanded);
  return commented(step, `STOPSIGNAL ${expanded}`, { StopSignal: expanded });
}

export function onbuildStep(step: Step, { trigger }: syntax.OnbuildInstruction): Promise<StageState> {
  return commented(step, `ONBUILD ${trigger}`, { OnBuild: [...(step.state.config.OnBuild ?? []), trigger] });
}

/** The name is not looked into for variables. */
export function maintainerStep(step: Step, { name }: syntax.MaintainerInstruction): Promise<StageState> {
  return commented({ ...step, state: { ...step.state, author: name } }, `MAINTAINER ${name}`, {});
}

export function healthcheckStep(step: Step, instruction: syntax.HealthcheckInstruction): Promise<StageState> {
  const { test, intervalNs, timeoutNs, startPeriodNs, startIntervalNs, retries } = instruction;
  const before = step.state.config.Healthcheck?.Test ?? [];
  if (before.length > 0 && before[0] !== "NONE") step.text.write(`Note: overriding previous HEALTHCHECK: [${before.join(" ")}]\n`);
  const health: NonNullable<ContainerDefaults["Healthcheck"]> = {
    Test: test,
    ...(intervalNs === 0 ? {} : { Interval: intervalNs }),
    ...(timeoutNs === 0 ? {} : { Timeout: timeoutNs }),
    ...(startPeriodNs === 0 ? {} : { StartPeriod: startPeriodNs }),
    ...(startIntervalNs === 0 ? {} : { StartInterval: startIntervalNs }),
    ...(retries === 0 ? {} : { Retries: retries }),
  };
  // Go's %q of the struct; 20.10 knows no start interval, and without one ours is the same.
  const durations = [intervalNs, timeoutNs, startPeriodNs, ...(startIntervalNs === 0 ? [] : [startIntervalNs])];
  const comment = `HEALTHCHECK &{${goQuoteList(test)} ${durations.map((ns) => `"${goDuration(ns)}"`).join(" ")} ${goQuoteRune(retries)}}`;
  return commented(step, comment, { Healthcheck: health });
}

/** Where WORKDIR leads; the folder is made by files-steps.ts. */
export function workdirOf(step: Step, { path: written }: syntax.WorkdirInstruction): string {
  const expanded = expandOne(step, written);
  if (expanded === "") throw new EngineError("invalid", "cannot normalize nothing");
  return path.posix.resolve("/", step.state.config.WorkingDir ?? "", expanded);
}

export function expandOne(step: Step, word: string): string {
  return expandWord(word, variableOf(step.state), step.escape);
}

function commented(step: Step, comment: string, changes: Partial<ContainerDefaults>): Promise<StageState> {
  return metadataStep(step, ["#(nop) ", comment], { ...step.state.config, ...changes });
}

async function withCmdSet(state: Promise<StageState>, cmdWasSet: boolean): Promise<StageState> {
  return { ...(await state), cmdWasSet };
}

function expandPairs(step: Step, pairs: syntax.Pair[]): [string, string][] {
  return pairs.map(({ name, value }) => [expandOne(step, name), expandOne(step, value)]);
}

function isEmpty(command: syntax.Command): boolean {
  return command.form === "exec" ? command.words.length === 0 : command.text === "";
}

/** Exec form as it is, shell form behind the shell; a bare CMD is the shell alone. */
export function commandWords(config: ContainerDefaults, command: syntax.Command): string[] {
  if (command.form === "exec") return command.words;
  return command.text === "" ? shellOf(config) : [...shellOf(config), command.text];
}

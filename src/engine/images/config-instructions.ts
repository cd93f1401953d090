import path from "node:path";

import { EngineError } from "../../base/errors.ts";
import { goDuration, goQuoteList, goQuoteRune } from "../../base/go-quote.ts";
import { exposedPorts } from "../../dockerfile/ports.ts";
import type * as syntax from "../../dockerfile/syntax.ts";
import type { ContainerDefaults } from "./image-config.ts";

/** Instructions of a Dockerfile that change nothing but the image's config: steps of a build, and what `--change` of commit and import takes. */
export type ConfigInstruction =
  | syntax.CmdInstruction
  | syntax.EntrypointInstruction
  | syntax.EnvInstruction
  | syntax.ExposeInstruction
  | syntax.HealthcheckInstruction
  | syntax.LabelInstruction
  | syntax.OnbuildInstruction
  | syntax.ShellInstruction
  | syntax.StopSignalInstruction
  | syntax.UserInstruction
  | syntax.VolumeInstruction;

/** What came before: of an ENTRYPOINT it depends on whether a CMD was set here whether it takes the CMD away. */
export interface ConfigState {
  config: ContainerDefaults;
  cmdWasSet: boolean;
}

/** Variables put in. */
export interface Expansion {
  word: (word: string) => string;
  /** EXPOSE: a variable may stand for several words. */
  words: (word: string) => string[];
}

export interface ConfigChange {
  changes: Partial<ContainerDefaults>;
  cmdWasSet: boolean;
  /** As Docker's history has it after `#(nop)`. */
  comment: string;
}

/** What an instruction makes of a config (moby 28, daemon/builder/dockerfile/dispatchers.go). */
export function changeConfig(state: ConfigState, instruction: ConfigInstruction, expand: Expansion): ConfigChange {
  const { config, cmdWasSet } = state;
  const changed = (comment: string, changes: Partial<ContainerDefaults>): ConfigChange => ({ comment, changes, cmdWasSet });
  switch (instruction.kind) {
    case "env": {
      const pairs = expandPairs(instruction.pairs, expand);
      return changed(`ENV${pairsText(pairs)}`, { Env: withVariables(config.Env ?? [], pairs) });
    }
    case "label": {
      const pairs = expandPairs(instruction.pairs, expand);
      const labels = new Map([...Object.entries(config.Labels ?? {}), ...pairs]);
      return changed(`LABEL${pairsText(pairs)}`, { Labels: Object.fromEntries(labels) });
    }
    case "cmd": {
      const words = commandWords(config, instruction.command);
      return { comment: `CMD ${goQuoteList(words)}`, changes: { Cmd: words }, cmdWasSet: cmdWasSet || !isEmpty(instruction.command) };
    }
    case "entrypoint": {
      const words = commandWords(config, instruction.command);
      const changes = { Entrypoint: words.length === 0 ? null : words, ...(cmdWasSet ? {} : { Cmd: null }) };
      return changed(`ENTRYPOINT ${goQuoteList(words)}`, changes);
    }
    case "expose": {
      const words = instruction.ports.flatMap(expand.words);
      const exposed = { ...config.ExposedPorts };
      for (const port of exposedPorts(words)) exposed[port] = {};
      return changed(`EXPOSE ${words.join(" ")}`, Object.keys(exposed).length === 0 ? {} : { ExposedPorts: exposed });
    }
    case "volume": {
      const paths = instruction.paths.map((one) => expand.word(one).trim());
      if (paths.includes("")) throw new EngineError("invalid", "VOLUME specified can not be an empty string");
      const volumes = new Map([...Object.keys(config.Volumes ?? {}), ...paths].map((one) => [one, {}]));
      return changed(`VOLUME [${paths.join(" ")}]`, { Volumes: Object.fromEntries(volumes) });
    }
    case "user": {
      const user = expand.word(instruction.user);
      return changed(`USER ${user}`, { User: user });
    }
    case "shell":
      return changed(`SHELL [${instruction.words.join(" ")}]`, { Shell: instruction.words });
    case "stopsignal": {
      const signal = expand.word(instruction.signal);
      return changed(`STOPSIGNAL ${signal}`, { StopSignal: signal });
    }
    case "onbuild":
      return changed(`ONBUILD ${instruction.trigger}`, { OnBuild: [...(config.OnBuild ?? []), instruction.trigger] });
    case "healthcheck":
      return changed(healthText(instruction), { Healthcheck: healthOf(instruction) });
  }
}

/** Where WORKDIR leads from where it was. */
export function workingDirectory(config: ContainerDefaults, written: string): string {
  if (written === "") throw new EngineError("invalid", "cannot normalize nothing");
  return path.posix.resolve("/", config.WorkingDir ?? "", written);
}

const DEFAULT_SHELL = ["/bin/sh", "-c"];

export function shellOf({ Shell: shell }: ContainerDefaults): string[] {
  return shell === undefined || shell === null || shell.length === 0 ? DEFAULT_SHELL : shell;
}

/** Exec form as it is, shell form behind the shell; a bare CMD is the shell alone. */
function commandWords(config: ContainerDefaults, command: syntax.Command): string[] {
  if (command.form === "exec") return command.words;
  return command.text === "" ? shellOf(config) : [...shellOf(config), command.text];
}

function isEmpty(command: syntax.Command): boolean {
  return command.form === "exec" ? command.words.length === 0 : command.text === "";
}

function withVariables(before: readonly string[], pairs: readonly [string, string][]): string[] {
  const environment = [...before];
  for (const [name, value] of pairs) {
    if (name === "") throw new EngineError("invalid", `invalid environment variable: =${value}`);
    const at = environment.findIndex((entry) => entry.split("=", 1)[0] === name);
    if (at === -1) environment.push(`${name}=${value}`);
    else environment[at] = `${name}=${value}`;
  }
  return environment;
}

function expandPairs(pairs: readonly syntax.Pair[], expand: Expansion): [string, string][] {
  return pairs.map(({ name, value }) => [expand.word(name), expand.word(value)]);
}

function pairsText(pairs: readonly [string, string][]): string {
  return pairs.map(([name, value]) => ` ${name}=${value}`).join("");
}

function healthOf(check: syntax.HealthcheckInstruction): NonNullable<ContainerDefaults["Healthcheck"]> {
  const { test, intervalNs, timeoutNs, startPeriodNs, startIntervalNs, retries } = check;
  return {
    Test: test,
    ...(intervalNs === 0 ? {} : { Interval: intervalNs }),
    ...(timeoutNs === 0 ? {} : { Timeout: timeoutNs }),
    ...(startPeriodNs === 0 ? {} : { StartPeriod: startPeriodNs }),
    ...(startIntervalNs === 0 ? {} : { StartInterval: startIntervalNs }),
    ...(retries === 0 ? {} : { Retries: retries }),
  };
}

/** Go's %q of its struct; 20.10 knows no start interval, and without one ours is the same. */
function healthText({ test, intervalNs, timeoutNs, startPeriodNs, startIntervalNs, retries }: syntax.HealthcheckInstruction): string {
  const durations = [intervalNs, timeoutNs, startPeriodNs, ...(startIntervalNs === 0 ? [] : [startIntervalNs])];
  return `HEALTHCHECK &{${goQuoteList(test)} ${durations.map((ns) => `"${goDuration(ns)}"`).join(" ")} ${goQuoteRune(retries)}}`;
}

import path from "node:path";

import { EngineError } from "../../base/errors.ts";
import type { ContainerDefaults } from "./image-config.ts";
import { expandWord, splitWords, type Variables } from "./words.ts";

/**
 * `--change` of import and commit: Dockerfile instructions that only change the config. Same words, same defaults and same errors as
 * Docker's classic builder (moby 28, daemon/builder/dockerfile).
 */
export function applyChanges(start: ContainerDefaults, changes: string[]): ContainerDefaults {
  const config: ContainerDefaults = structuredClone(start);
  const state: State = { config, cmdWasSet: false };
  for (const line of changes.join("\n").split("\n")) {
    const text = line.trim();
    if (text === "" || text.startsWith("#")) continue;
    const [, word = "", rest = ""] = /^(\S+)(?:\s+(.*))?$/s.exec(text) ?? [];
    const apply = INSTRUCTIONS.get(word.toLowerCase());
    if (apply === undefined) throw invalid(`${word} is not a valid change command`);
    if (rest === "" && !MAY_BE_EMPTY.has(word.toLowerCase())) throw invalid(`${word.toUpperCase()} requires at least one argument`);
    apply(state, rest);
  }
  return config;
}

interface State {
  config: ContainerDefaults;
  cmdWasSet: boolean;
}

const MAY_BE_EMPTY = new Set(["cmd", "entrypoint"]);
const DEFAULT_SHELL = ["/bin/sh", "-c"];

const INSTRUCTIONS = new Map<string, (state: State, rest: string) => void>([
  ["cmd", cmd],
  ["entrypoint", entrypoint],
  ["env", env],
  ["expose", expose],
  ["healthcheck", healthcheck],
  ["label", label],
  ["onbuild", onbuild],
  ["stopsignal", stopsignal],
  ["user", user],
  ["volume", volume],
  ["workdir", workdir],
]);

function cmd(state: State, rest: string): void {
  state.config.Cmd = commandOf(state.config, rest);
  if (rest !== "") state.cmdWasSet = true;
}

function entrypoint(state: State, rest: string): void {
  state.config.Entrypoint = commandOf(state.config, rest);
  if (!state.cmdWasSet) state.config.Cmd = null;
}

function env({ config }: State, rest: string): void {
  const list = config.Env ?? [];
  const variables = variablesOf(config);
  for (const [key, value] of keyValues("ENV", rest, variables)) {
    // Names of variables differ by case on Linux.
    const at = list.findIndex((item) => item.split("=", 1)[0] === key);
    if (at === -1) list.push(`${key}=${value}`);
    else list[at] = `${key}=${value}`;
  }
  config.Env = list;
}

function label({ config }: State, rest: string): void {
  const labels = { ...config.Labels };
  for (const [key, value] of keyValues("LABEL", rest, variablesOf(config))) {
    // Not by assignment: a label called __proto__ is a label.
    Object.defineProperty(labels, key, { value, enumerable: true, configurable: true, writable: true });
  }
  config.Labels = labels;
}

function expose({ config }: State, rest: string): void {
  const ports = { ...config.ExposedPorts };
  for (const word of splitWords(rest).flatMap((item) => splitWords(expandWord(item, variablesOf(config))))) {
    for (const port of portsOf(word)) ports[port] = {};
  }
  config.ExposedPorts = ports;
}

function portsOf(word: string): string[] {
  // A host part, which EXPOSE takes and drops.
  const spec = word.slice(word.lastIndexOf(":") + 1);
  const [range = "", protocol = "tcp"] = spec.split("/", 2);
  if (range === "") throw invalid(`no port specified: ${word}<empty>`);
  if (!["tcp", "udp", "sctp"].includes(protocol.toLowerCase())) throw invalid(`invalid proto: ${protocol}`);
  const match = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(range);
  const first = Number(match?.[1]);
  const last = Number(match?.[2] ?? match?.[1]);
  if (match === null || last < first || last > 65_535) throw invalid(`invalid containerPort: ${range}`);
  return Array.from({ length: last - first + 1 }, (_, index) => `${first + index}/${protocol.toLowerCase()}`);
}

function volume({ config }: State, rest: string): void {
  const volumes = { ...config.Volumes };
  for (const word of jsonArray(rest) ?? splitWords(rest)) {
    const target = expandWord(word, variablesOf(config)).trim();
    if (target === "") throw invalid("VOLUME specified can not be an empty string");
    Object.defineProperty(volumes, target, { value: {}, enumerable: true, configurable: true, writable: true });
  }
  config.Volumes = volumes;
}

function workdir({ config }: State, rest: string): void {
  const wanted = expandWord(rest, variablesOf(config));
  const absolute = path.posix.resolve("/", config.WorkingDir ?? "", wanted);
  config.WorkingDir = absolute;
}

function user({ config }: State, rest: string): void {
  if (splitWords(rest).length > 1) throw invalid("USER requires exactly one argument");
  config.User = expandWord(rest, variablesOf(config));
}

function stopsignal({ config }: State, rest: string): void {
  if (splitWords(rest).length > 1) throw invalid("STOPSIGNAL requires exactly one argument");
  config.StopSignal = expandWord(rest, variablesOf(config));
}

function onbuild({ config }: State, rest: string): void {
  const trigger = (rest.split(/\s/, 1)[0] ?? "").toUpperCase();
  if (trigger === "ONBUILD") throw invalid("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed");
  if (trigger === "FROM" || trigger === "MAINTAINER") throw invalid(`${trigger} isn't allowed as an ONBUILD trigger`);
  config.OnBuild = [...(config.OnBuild ?? []), rest];
}

const NS_PER_UNIT: Record<string, number> = { ns: 1, us: 1e3, µs: 1e3, ms: 1e6, s: 1e9, m: 60e9, h: 3600e9 };
const HEALTH_FLAGS: Record<string, "Interval" | "Timeout" | "StartPeriod" | "StartInterval"> = {
  interval: "Interval",
  timeout: "Timeout",
  "start-period": "StartPeriod",
  "start-interval": "StartInterval",
};

function healthcheck({ config }: State, rest: string): void {
  const health: NonNullable<ContainerDefaults["Healthcheck"]> = {};
  let text = rest;
  for (let flag = nextFlag(text); flag !== undefined; flag = nextFlag(text)) {
    const [, name = "", value = "", after = ""] = flag;
    const field = HEALTH_FLAGS[name];
    if (field !== undefined) health[field] = healthDuration(name, value);
    else if (name === "retries" && /^\d+$/.test(value)) health.Retries = Number(value);
    else if (name === "retries") throw invalid(`--retries must be a whole number, not ${value}`);
    else throw invalid(`unknown flag: --${name}`);
    text = after;
  }
  const [, kind = "", probe = ""] = /^(\S+)\s*(.*)$/s.exec(text) ?? [];
  if (kind.toUpperCase() === "NONE") {
    if (probe !== "") throw invalid("HEALTHCHECK NONE takes no arguments");
    config.Healthcheck = { Test: ["NONE"] };
    return;
  }
  if (kind.toUpperCase() !== "CMD") throw invalid(`unknown type ${JSON.stringify(kind.toUpperCase())} in HEALTHCHECK (try CMD)`);
  if (probe === "") throw invalid("missing command after HEALTHCHECK CMD");
  const json = jsonArray(probe);
  config.Healthcheck = { Test: json === undefined ? ["CMD-SHELL", probe] : ["CMD", ...json], ...health };
}

function nextFlag(text: string): RegExpExecArray | undefined {
  return /^--([\w-]+)=(\S*)\s*(.*)$/s.exec(text) ?? undefined;
}

/** Go's duration, not negative, at least a millisecond unless 0. */
function healthDuration(name: string, value: string): number {
  const parts = [...value.matchAll(/(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)/g)];
  const isDuration = value === "0" || (parts.length > 0 && parts.map(([part]) => part).join("") === value);
  if (!isDuration) throw invalid(`time: invalid duration ${JSON.stringify(value)}`);
  const durationNs = parts.reduce((sum, [, amount, unit = ""]) => sum + Number(amount) * (NS_PER_UNIT[unit] ?? 0), 0);
  if (durationNs > 0 && durationNs < 1e6) throw invalid(`Interval "${name}" cannot be less than 1ms`);
  return Math.round(durationNs);
}

/** Exec form as it is; shell form behind the shell. */
function commandOf(config: ContainerDefaults, rest: string): string[] {
  const json = jsonArray(rest);
  if (json !== undefined) return json;
  return rest === "" ? [] : [...(config.Shell ?? DEFAULT_SHELL), rest];
}

/** A JSON array of strings; anything else is shell form. */
function jsonArray(text: string): string[] | undefined {
  if (!text.startsWith("[")) return undefined;
  try {
    const parsed: unknown = JSON.parse(text);
    const isStrings = Array.isArray(parsed) && parsed.every((item) => typeof item === "string");
    return isStrings ? parsed : undefined;
  } catch {
    return undefined;
  }
}

/** `a=b c="d e"`, or the old form `name value until the end`. */
function keyValues(instruction: string, rest: string, variables: Variables): [string, string][] {
  const words = splitWords(rest);
  const [first = ""] = words;
  if (!first.includes("=")) {
    const [, name = "", value] = /^(\S+)\s+(.*)$/s.exec(rest) ?? [];
    if (value === undefined) throw invalid(`${instruction} must have two arguments`);
    return [[expandWord(name, variables), expandWord(value, variables)]];
  }
  return words.map((word) => {
    const equals = word.indexOf("=");
    if (equals === -1) throw invalid(`Syntax error - can't find = in ${JSON.stringify(word)}. Must be of the form: name=value`);
    const key = expandWord(word.slice(0, equals), variables);
    if (key === "") throw invalid(`${instruction} names can not be blank`);
    return [key, expandWord(word.slice(equals + 1), variables)];
  });
}

function variablesOf(config: ContainerDefaults): Variables {
  return new Map(
    (config.Env ?? []).map((item) => {
      const equals = item.indexOf("=");
      return equals === -1 ? [item, ""] : [item.slice(0, equals), item.slice(equals + 1)];
    }),
  );
}

function invalid(message: string): EngineError {
  return new EngineError("invalid", message);
}

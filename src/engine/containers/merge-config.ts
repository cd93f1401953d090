import type { ContainerConfig } from "../../api/container-config.ts";
import { EngineError } from "../../base/errors.ts";
import type { ContainerDefaults } from "../images/image-config.ts";

/** A container's config: what was asked for, and under it what the image says (moby daemon/commit.go, merge). */
export function mergeConfig(asked: ContainerConfig, image: ContainerDefaults | undefined): ContainerConfig {
  const defaults = image ?? {};
  const noEntrypoint = asked.Entrypoint === undefined || asked.Entrypoint.length === 0;
  const noCommand = asked.Cmd === undefined || asked.Cmd.length === 0;
  // An entrypoint of the request's own takes the image's command away; an empty list takes the image's entrypoint away, too.
  const command = noEntrypoint && noCommand ? (defaults.Cmd ?? asked.Cmd) : asked.Cmd;
  const entrypoint = asked.Entrypoint ?? defaults.Entrypoint ?? undefined;
  return {
    ...asked,
    User: asked.User === "" ? (defaults.User ?? "") : asked.User,
    ExposedPorts: mergeKeys(asked.ExposedPorts, defaults.ExposedPorts),
    Env: mergeEnv(asked.Env, defaults.Env),
    Labels: new Map([...Object.entries(defaults.Labels ?? {}), ...asked.Labels]),
    Cmd: command ?? undefined,
    // `--entrypoint ""` comes as a list with an empty word.
    Entrypoint: entrypoint?.length === 1 && entrypoint[0] === "" ? undefined : entrypoint,
    Healthcheck: mergeHealthcheck(asked.Healthcheck, defaults.Healthcheck),
    WorkingDir: asked.WorkingDir === "" ? (defaults.WorkingDir ?? "") : asked.WorkingDir,
    Volumes: mergeKeys(asked.Volumes, defaults.Volumes),
    StopSignal: asked.StopSignal === "" ? (defaults.StopSignal ?? "") : asked.StopSignal,
  };
}

/** Entrypoint and command as one list. */
export function commandOf(config: ContainerConfig): { path: string; args: string[] } {
  const [path, ...args] = [...(config.Entrypoint ?? []), ...(config.Cmd ?? [])];
  if (path === undefined) throw new EngineError("invalid", "no command specified");
  return { path, args };
}

/** The request's variables, then those of the image that it does not name. */
function mergeEnv(asked: string[] | undefined, image: string[] | undefined): string[] | undefined {
  if (asked === undefined || asked.length === 0) return image ?? asked;
  const named = new Set(asked.map(nameOf));
  return [...asked, ...(image ?? []).filter((entry) => !named.has(nameOf(entry)))];
}

function nameOf(entry: string): string {
  return entry.split("=", 1)[0] ?? "";
}

type KeySet = ContainerConfig["ExposedPorts"];

function mergeKeys(asked: KeySet, image: Record<string, unknown> | null | undefined): KeySet {
  const ofImage = Object.keys(image ?? {}).map((key): [string, Record<string, never>] => [key, {}]);
  // Docker takes the image's nothing for the request's empty set.
  if ((asked?.size ?? 0) === 0 && ofImage.length === 0) return undefined;
  return new Map([...(asked ?? []), ...ofImage]);
}

function mergeHealthcheck(asked: ContainerConfig["Healthcheck"], image: ContainerDefaults["Healthcheck"]): ContainerConfig["Healthcheck"] {
  if (image === undefined) return asked;
  return {
    Test: asked !== undefined && asked.Test.length > 0 ? asked.Test : (image.Test ?? []),
    Interval: asked?.Interval || image.Interval || 0,
    Timeout: asked?.Timeout || image.Timeout || 0,
    StartPeriod: asked?.StartPeriod || image.StartPeriod || 0,
    StartInterval: asked?.StartInterval || image.StartInterval || 0,
    Retries: asked?.Retries || image.Retries || 0,
  };
}

/** Build arguments: those that need no declaration, and what the ARGs before the first FROM come to. */
import type { Platform } from "../../images/platform.ts";
import { expandWord, type Lookup } from "./expand.ts";
import type { Dockerfile } from "./syntax.ts";

/** May be given to any build, are not in its history, and are in no cache key unless a stage declares them. */
export const PROXY_ARGS: ReadonlySet<string> = new Set(
  ["HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY"].flatMap((name) => [name, name.toLowerCase()]),
);

/** Declared and never part of the environment of a step. */
export const CONTROL_ARGS: ReadonlySet<string> = new Set(["BUILDKIT_SBOM_SCAN_CONTEXT", "BUILDKIT_SBOM_SCAN_STAGE"]);

/** Known to FROM as they are, and to a stage once it says `ARG TARGETARCH`. */
export function platformArgs(platforms: { build: Platform; target: Platform; stage: string | undefined }): Map<string, string> {
  const { build, target, stage } = platforms;
  return new Map([
    ["BUILDPLATFORM", nameOf(build)],
    ["BUILDOS", build.os],
    ["BUILDOSVERSION", ""],
    ["BUILDARCH", build.architecture],
    ["BUILDVARIANT", build.variant ?? ""],
    ["TARGETPLATFORM", nameOf(target)],
    ["TARGETOS", target.os],
    ["TARGETOSVERSION", ""],
    ["TARGETARCH", target.architecture],
    ["TARGETVARIANT", target.variant ?? ""],
    ["TARGETSTAGE", stage ?? "default"],
  ]);
}

function nameOf({ os, architecture, variant }: Platform): string {
  return [os, architecture, variant].filter((part) => part !== undefined && part !== "").join("/");
}

/**
 * The values of the global ARGs, each given or its default; one without either is not there. `given` are the build's `--build-arg`s, `predefined`
 * what needs no declaration.
 */
export function globalArgValues(
  file: Dockerfile,
  given: ReadonlyMap<string, string>,
  predefined: ReadonlyMap<string, string>,
): Map<string, string> {
  const values = new Map(predefined);
  const lookup: Lookup = (name) => values.get(name);
  for (const pair of file.globalArgs.flatMap(({ pairs }) => pairs)) {
    const value = given.get(pair.name) ?? (pair.value === undefined ? undefined : expandWord(pair.value, lookup, file.directives.escape));
    if (value !== undefined) values.set(pair.name, value);
  }
  return values;
}

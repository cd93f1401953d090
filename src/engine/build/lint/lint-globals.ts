/** What lint knows before the first stage: the values of the global ARGs, and base images by their defaults. */
import { EngineError } from "../../../base/errors.ts";
import { parseReference } from "../../images/reference.ts";
import { expand, expandWord } from "../../../dockerfile/expand.ts";
import type { Report } from "./lint.ts";
import type { Dockerfile } from "../../../dockerfile/syntax.ts";

/** Base images as they are when no `--build-arg` is given. */
export function lintDefaultImages(file: Dockerfile, predefined: ReadonlyMap<string, string>, report: Report): void {
  const defaults = globalArgValues(file, new Map(), predefined);
  for (const { from } of file.stages) {
    const image = expand(from.image, (name) => defaults.get(name), file.directives.escape).text;
    try {
      parseReference(image);
    } catch (error) {
      ignoreInvalid(error);
      report("InvalidDefaultArgInFrom", `Default value for ARG ${from.image} results in empty or invalid base image name`, from);
    }
  }
}

/** The values of the global ARGs, each given or its default; one without either is not there. */
export function globalArgValues(
  file: Dockerfile,
  given: ReadonlyMap<string, string>,
  predefined: ReadonlyMap<string, string>,
): Map<string, string> {
  const values = new Map(predefined);
  for (const { name, value } of file.globalArgs.flatMap(({ pairs }) => pairs)) {
    const actual =
      given.get(name) ?? (value === undefined ? undefined : expandWord(value, (key) => values.get(key), file.directives.escape));
    if (actual !== undefined) values.set(name, actual);
  }
  return values;
}

/** What does not expand or parse fails in the build itself, in its own words. */
export function ignoreInvalid(error: unknown): void {
  if (!(error instanceof EngineError)) throw error;
}

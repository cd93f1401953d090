import { EngineError } from "../../../base/errors.ts";
import type { BuildOutput, BuildRequest } from "../builds.ts";
import { lint, lintFailure, type LintFinding } from "../lint/lint.ts";
import { excerpt } from "../../../dockerfile/dockerfile-error.ts";
import type { Dockerfile } from "../../../dockerfile/syntax.ts";
import type { BuildEngine } from "../open-builds.ts";
import { platformArgs } from "./platform-args.ts";

/** What BuildKit's rules find in a Dockerfile, with what is known of its base images here. Fails where the Dockerfile asks for that. */
export function findMistakes(
  { images }: BuildEngine,
  request: BuildRequest,
  dockerfile: Dockerfile,
  ignorePatterns: string[],
): LintFinding[] {
  const findings = lint(dockerfile, {
    buildArgs: new Map([...request.buildArgs].map(([name, value]) => [name, value ?? ""])),
    predefined: new Map(Object.entries(platformArgs(request.platform))),
    environmentOf: (name) => (name === "scratch" ? [] : images.find(name)?.config.config?.Env),
    ignorePatterns,
  });
  if (request.check) return findings;
  const failure = lintFailure(dockerfile, findings);
  if (failure !== undefined) throw new EngineError("invalid", failure);
  return findings;
}

/** `--check`: lists what was found, and fails when there is any. */
export function tellMistakes(dockerfile: Dockerfile, name: string, findings: LintFinding[], output: BuildOutput): void {
  for (const { rule, description, detail, range } of findings) {
    output.text(`\nWARNING: ${rule}: ${description}\n${detail}\n${name}:${range.start.line}\n--------------------\n`);
    output.text(`${excerpt(dockerfile.source, range)}\n--------------------\n`);
  }
  if (findings.length === 0) return output.text("Check complete, no warnings found.\n");
  throw new EngineError(
    "invalid",
    `Check complete, ${findings.length === 1 ? "1 warning has" : `${findings.length} warnings have`} been found!`,
  );
}

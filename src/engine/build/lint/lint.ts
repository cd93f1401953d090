/**
 * Lint: what `--check` lists and what a build warns of. `lint-text.ts` has the rules that read a file as it stands, `lint-scope.ts` those that need
 * to know what variables mean; here is what is skipped, and in what order it is told.
 *
 * `# check=skip=RuleA;error=true` at the top rules the whole file, `# check=skip=RuleA` above an instruction that one.
 */
import { parseCheck } from "../../../dockerfile/directives.ts";
import { lintScopes } from "./lint-scope.ts";
import { EXPERIMENTAL_RULES, LINT_RULES, type LintRule } from "./lint-rules.ts";
import { lintText } from "./lint-text.ts";
import type { CheckDirective, Dockerfile, FromInstruction, Instruction, Range } from "../../../dockerfile/syntax.ts";

export interface LintFinding {
  rule: LintRule;
  /** What the rule asks for. */
  description: string;
  /** What is wrong here. */
  detail: string;
  range: Range;
}

export interface LintOptions {
  /** In place of the file's own directive. */
  check?: CheckDirective;
  /** `--build-arg`. */
  buildArgs?: ReadonlyMap<string, string>;
  /** Arguments of the platforms: `TARGETARCH` and so on. */
  predefined?: ReadonlyMap<string, string>;
  /** The ENV of a base image. Where it is not known, variables of its stages are not looked at. */
  environmentOf?: (image: string) => readonly string[] | undefined;
  /** Of the context's ignore file. */
  ignorePatterns?: readonly string[];
}

export type Report = (rule: LintRule, detail: string, where: Pick<Instruction | FromInstruction, "range" | "comments">) => void;

/** In the order of the lines. Never throws: what does not expand fails in the build itself. */
export function lint(file: Dockerfile, options: LintOptions = {}): LintFinding[] {
  const check = options.check ?? file.directives.check ?? NOTHING_SKIPPED;
  const findings = new Map<string, LintFinding>();
  const report: Report = (rule, detail, { range, comments }) => {
    if (isSkipped(rule, [check, ...comments.map(inlineCheck)])) return;
    // The same of the same line, as of a variable that stands twice in it, is told once.
    findings.set(JSON.stringify([rule, detail, range]), { rule, description: LINT_RULES[rule], detail, range });
  };
  lintText(file, report);
  lintScopes(file, options, report);
  return [...findings.values()].sort((a, b) => a.range.start.line - b.range.start.line);
}

/** What `# check=error=true` makes of findings: the build fails with this. */
export function lintFailure(
  file: Dockerfile,
  findings: readonly LintFinding[],
  options: Pick<LintOptions, "check"> = {},
): string | undefined {
  const check = options.check ?? file.directives.check;
  if (check?.error !== true || findings.length === 0) return undefined;
  return `lint violation found for rules: ${[...new Set(findings.map(({ rule }) => rule))].join(", ")}`;
}

const NOTHING_SKIPPED: CheckDirective = { skip: [], skipAll: false, error: false, experimental: [], experimentalAll: false };

function isSkipped(rule: LintRule, checks: CheckDirective[]): boolean {
  if (EXPERIMENTAL_RULES.has(rule)) return !checks.some((check) => check.experimentalAll || check.experimental.includes(rule));
  return checks.some((check) => check.skipAll || check.skip.includes(rule));
}

/** `check=skip=Rule // because` in a comment; one that is malformed is a comment. */
function inlineCheck(comment: string): CheckDirective {
  const value = /^check\s*=\s*(\S+)/i.exec(comment)?.[1];
  try {
    return value === undefined
      ? NOTHING_SKIPPED
      : parseCheck(value, (message) => {
          throw new RangeError(message);
        });
  } catch {
    return NOTHING_SKIPPED;
  }
}

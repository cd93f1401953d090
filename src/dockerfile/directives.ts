/**
 * Parser directives: `# name=value` comments before anything else in the file. The first line that is none ends them for good; each may stand
 * once; names are case-insensitive and an unknown one is a comment.
 */
import { parseBoolean } from "../base/booleans.ts";
import { skipSpaces, skipSpacesBack } from "./characters.ts";
import type { CheckDirective, Directives } from "./syntax.ts";

const KNOWN = ["syntax", "escape", "check"] as const;

export class DirectiveReader {
  readonly directives: Directives = { escape: "\\" };
  private readonly seen = new Set<string>();
  private isDone = false;

  /** Takes a line without leading blanks; true when it is a directive. */
  read(line: string, fail: (message: string) => never): boolean {
    if (this.isDone) return false;
    const directive = splitDirective(line);
    if (directive === undefined) {
      this.isDone = true;
      return false;
    }
    const { name, value } = directive;
    if (this.seen.has(name)) fail(`only one ${name} parser directive can be used`);
    this.seen.add(name);
    switch (name) {
      case "syntax":
        this.directives.syntax = value.split(" ")[0] ?? "";
        break;
      case "escape":
        if (value !== "\\" && value !== "`") fail(`invalid escape token '${value}' does not match \` or \\`);
        this.directives.escape = value;
        break;
      case "check":
        this.directives.check = parseCheck(value.split(" ")[0] ?? "", fail);
    }
    return true;
  }
}

function splitDirective(line: string): { name: (typeof KNOWN)[number]; value: string } | undefined {
  if (!line.startsWith("#")) return undefined;
  const begin = skipSpaces(line, 1);
  const equals = line.indexOf("=", begin);
  if (equals === -1) return undefined;
  const name = line.slice(begin, skipSpacesBack(line, equals)).toLowerCase();
  const known = KNOWN.find((word) => word === name);
  if (known === undefined) return undefined;
  const valueBegin = skipSpaces(line, equals + 1);
  const value = line.slice(valueBegin, Math.max(valueBegin, skipSpacesBack(line, line.length)));
  return value === "" ? undefined : { name: known, value };
}

/** `skip=RuleA,RuleB;error=true;experimental=all`, no blanks: what follows one is a remark. */
export function parseCheck(value: string, fail: (message: string) => never): CheckDirective {
  const check: CheckDirective = { skip: [], skipAll: false, error: false, experimental: [], experimentalAll: false };
  for (const option of value.split(";")) {
    const equals = option.indexOf("=");
    if (equals === -1) fail(`invalid check option ${JSON.stringify(option)}`);
    const rules = option.slice(equals + 1).split(",");
    const isAll = rules.length === 1 && rules[0]?.toLowerCase() === "all";
    const key = option.slice(0, equals);
    if (key === "skip") Object.assign(check, isAll ? { skipAll: true } : { skip: rules });
    else if (key === "experimental") Object.assign(check, isAll ? { experimentalAll: true } : { experimental: rules });
    else if (key === "error") check.error = parseBoolean(rules[0] ?? "") ?? fail(`failed to parse check option "error": ${rules[0] ?? ""}`);
    else fail(`invalid check option ${JSON.stringify(key)}`);
  }
  return check;
}

import { EngineError } from "../../../base/errors.ts";

/** `--chmod`: octal digits, or symbolic as chmod(1) has it (`u=rwX,go=rX`; Dockerfile syntax 1.14). */
export type ModeChange = { kind: "octal"; mode: number } | { kind: "symbolic"; clauses: ModeClause[] };

interface ModeClause {
  /** Bits of the classes that are meant: 0o700, 0o070, 0o007 together. */
  classes: number;
  operator: "+" | "-" | "=";
  permissions: string;
}

const CLASS_BITS: Record<string, number> = { u: 0o4700, g: 0o2070, o: 0o1007, a: 0o7777 };
const PERMISSION_BITS: Record<string, number> = { r: 0o444, w: 0o222, x: 0o111, s: 0o6000, t: 0o1000 };

export function parseModeChange(text: string): ModeChange {
  if (/^[0-7]{1,5}$/.test(text) && Number.parseInt(text, 8) <= 0o7777) return { kind: "octal", mode: Number.parseInt(text, 8) };
  const clauses: ModeClause[] = [];
  for (const clause of text.split(",")) {
    const match = /^([ugoa]*)((?:[+=-][rwxXst]*)+)$/.exec(clause);
    if (match === null) {
      throw new EngineError(
        "invalid",
        `invalid chmod parameter: '${text}'. it should be octal string and between 0 and 07777, or like u=rwX,go=rX`,
      );
    }
    const [, who = "", actions = ""] = match;
    const classes = (who === "" ? "a" : who).split("").reduce((bits, name) => bits | (CLASS_BITS[name] ?? 0), 0);
    for (const [, operator = "", permissions = ""] of actions.matchAll(/([+=-])([rwxXst]*)/g)) {
      clauses.push({ classes, operator: operator as ModeClause["operator"], permissions }); // one of the three, by the pattern
    }
  }
  return { kind: "symbolic", clauses };
}

export function changeMode(mode: number, change: ModeChange, isFolder: boolean): number {
  if (change.kind === "octal") return change.mode;
  return change.clauses.reduce((before, { classes, operator, permissions }) => {
    const bits = permissions.split("").reduce((sum, letter) => {
      if (letter === "X") return isFolder || (before & 0o111) !== 0 ? sum | 0o111 : sum;
      return sum | (PERMISSION_BITS[letter] ?? 0);
    }, 0);
    const meant = bits & classes;
    if (operator === "+") return before | meant;
    if (operator === "-") return before & ~meant;
    return (before & ~(classes & 0o777)) | meant;
  }, mode);
}

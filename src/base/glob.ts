/**
 * Go's `filepath.Match`: `*` and `?` stop at a slash, `[a-z]` and `[^a-z]` are classes, `\` takes the meaning from what follows. With `**`, as in
 * ignore files and `COPY --parents`: any number of folders, also none; at the end: all that is inside.
 */
import { EngineError } from "./errors.ts";
import { Automaton, literal, type Token } from "./automaton.ts";

export interface Glob {
  matches: (path: string) => boolean;
  /** Whether something inside a folder can match. */
  mayMatchInside: (folder: string) => boolean;
}

/** Throws EngineError for a pattern that Go calls malformed. */
export function compileGlob(pattern: string, options: { doubleStar: boolean }): Glob {
  const characters = Array.from(pattern);
  const automaton = new Automaton(parseGlob(characters, options.doubleStar));
  const first = characters.findIndex((character) => META.has(character));
  if (first === -1) return { matches: (path) => path === pattern, mayMatchInside: (folder) => pattern.startsWith(`${folder}/`) };
  // Most paths differ from a pattern in their plain ends already. The slash of a `**/` may be missing.
  const last = characters.findLastIndex((character) => META.has(character) || character === "/");
  const prefix = characters.slice(0, first).join("");
  const suffix = characters.slice(last + 1).join("");
  return {
    matches: (path) => path.startsWith(prefix) && path.endsWith(suffix) && automaton.matches(Array.from(path)),
    mayMatchInside: (folder) => automaton.mayContinue(Array.from(`${folder}/`)),
  };
}

const META = new Set(["*", "?", "[", "]", "\\"]);

function parseGlob(characters: string[], doubleStar: boolean): Token[] {
  const tokens: Token[] = [];
  let at = 0;
  while (at < characters.length) {
    const character = characters[at] ?? "";
    at += 1;
    if (character === "*" && doubleStar && characters[at] === "*") {
      at += 1;
      if (characters[at] === "/") at += 1;
      // Folders, each with its slash; at the very end whatever comes.
      if (at < characters.length) tokens.push({ kind: "optional", count: 2 }, { kind: "many", accepts: isAny }, literal("/"));
      else tokens.push({ kind: "many", accepts: isAny });
    } else if (character === "*") {
      tokens.push({ kind: "many", accepts: isNoSlash });
    } else if (character === "?") {
      tokens.push({ kind: "one", accepts: isNoSlash });
    } else if (character === "[") {
      const { token, end } = parseClass(characters, at);
      tokens.push(token);
      at = end;
    } else if (character === "\\") {
      tokens.push(literal(characters[at] ?? malformed()));
      at += 1;
    } else {
      tokens.push(literal(character));
    }
  }
  return tokens;
}

/** What follows a `[`, up to its `]`; it holds one character or range at least. */
function parseClass(characters: string[], begin: number): { token: Token; end: number } {
  const isNegated = characters[begin] === "^";
  const ranges: [low: string, high: string][] = [];
  let at = isNegated ? begin + 1 : begin;
  const one = (): string => {
    const character = characters[at];
    if (character === "-" || character === "]") malformed();
    if (character === "\\") at += 1;
    const meant = characters[at] ?? malformed();
    at += 1;
    return meant;
  };
  while (characters[at] !== "]" || ranges.length === 0) {
    const low = one();
    let high = low;
    if (characters[at] === "-") {
      at += 1;
      high = one();
    }
    ranges.push([low, high]);
  }
  const accepts = (character: string): boolean => ranges.some(([low, high]) => isBetween(character, low, high)) !== isNegated;
  return { token: { kind: "one", accepts }, end: at + 1 };
}

function isBetween(character: string, low: string, high: string): boolean {
  const code = character.codePointAt(0) ?? 0;
  return (low.codePointAt(0) ?? 0) <= code && code <= (high.codePointAt(0) ?? 0);
}

function isAny(): boolean {
  return true;
}

function isNoSlash(character: string): boolean {
  return character !== "/";
}

function malformed(): never {
  throw new EngineError("invalid", "syntax error in pattern");
}

/**
 * The patterns of `${name#pattern}`, `%` and `/`: `*` is any text, `?` any one character, neither a newline; `\` takes the meaning from `*`,
 * `?` and itself. No classes.
 */
import { Automaton, type Budget, literal, type Token } from "../base/automaton.ts";

/** The text without the shortest (or longest) beginning that the pattern matches. */
export function removePrefix(text: string, pattern: string, longest: boolean, budget: Budget): string {
  budget.spend(text.length);
  const characters = Array.from(text);
  const end = new Automaton(parsePattern(pattern)).run(characters, 0, { longest, budget });
  return end === undefined ? text : characters.slice(end).join("");
}

export function removeSuffix(text: string, pattern: string, longest: boolean, budget: Budget): string {
  budget.spend(text.length);
  const characters = Array.from(text).toReversed();
  const end = new Automaton(parsePattern(pattern).toReversed()).run(characters, 0, { longest, budget });
  return end === undefined ? text : characters.slice(end).toReversed().join("");
}

/** The first match, or all of them, replaced; from each beginning the longest. */
export function replacePattern(text: string, pattern: string, replacement: string, options: { all: boolean; budget: Budget }): string {
  const { all, budget } = options;
  budget.spend(text.length);
  const automaton = new Automaton(parsePattern(pattern));
  const characters = Array.from(text);
  let result = "";
  let begin = 0;
  let lastEnd = -1;
  while (begin <= characters.length) {
    const end = automaton.run(characters, begin, { longest: true, budget });
    // An empty match right behind another is none, as in Go.
    const isMatch = end !== undefined && !(end === begin && begin === lastEnd);
    if (isMatch) {
      budget.spend(replacement.length);
      result += replacement;
      lastEnd = end;
      if (!all) return result + characters.slice(end).join("");
    }
    if (isMatch && end > begin) {
      begin = end;
    } else {
      result += characters[begin] ?? "";
      begin += 1;
    }
  }
  return result;
}

function parsePattern(pattern: string): Token[] {
  const tokens: Token[] = [];
  const characters = Array.from(pattern);
  for (let at = 0; at < characters.length; at += 1) {
    const character = characters[at] ?? "";
    if (character === "*" || character === "?") {
      tokens.push({ kind: character === "*" ? "many" : "one", accepts: isNoNewline });
      continue;
    }
    if (character !== "\\") {
      tokens.push(literal(character));
      continue;
    }
    at += 1;
    const escaped = characters[at] ?? "";
    // The braces and slashes of `${…}` have to be escaped in it, which is no escape of the pattern.
    if (!["*", "?", "\\", "}", "/"].includes(escaped)) throw new RangeError(`invalid escape '\\${escaped}'`);
    tokens.push(literal(escaped));
  }
  return tokens;
}

function isNoNewline(character: string): boolean {
  return character !== "\n";
}

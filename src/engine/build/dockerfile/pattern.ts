/**
 * The patterns of `${name#pattern}`, `%` and `/`: `*` is any text, `?` any one character, neither a newline; `\` takes the meaning from `*`, `?` and itself. No
 * classes. Matched without regular expressions, whose backtracking a pattern like `*a*a*a*a*b` makes endless: the time is at most the length
 * of the text times that of the pattern, and `MAX_PATTERN_STEPS` bounds the product.
 */

export const MAX_PATTERN_STEPS = 2_000_000;

type Token = "*" | "?" | { literal: string };

/** The text without the shortest (or longest) beginning that the pattern matches. */
export function removePrefix(text: string, pattern: string, longest: boolean): string {
  const characters = Array.from(text);
  const end = matchFrom(characters, 0, parsePattern(pattern), longest, new Budget());
  return end === undefined ? text : characters.slice(end).join("");
}

export function removeSuffix(text: string, pattern: string, longest: boolean): string {
  const characters = Array.from(text).toReversed();
  const end = matchFrom(characters, 0, parsePattern(pattern).toReversed(), longest, new Budget());
  return end === undefined ? text : characters.slice(end).toReversed().join("");
}

/** The first match, or all of them, replaced; from each beginning the longest. */
export function replacePattern(text: string, pattern: string, replacement: string, all: boolean): string {
  const tokens = parsePattern(pattern);
  const characters = Array.from(text);
  const budget = new Budget();
  let result = "";
  let begin = 0;
  let lastEnd = -1;
  while (begin <= characters.length) {
    const end = matchFrom(characters, begin, tokens, true, budget);
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

class Budget {
  private left = MAX_PATTERN_STEPS;

  spend(steps: number): void {
    this.left -= steps;
    if (this.left < 0) throw new RangeError("matching it takes too many steps");
  }
}

/**
 * The end of the shortest or longest match that begins at `begin`. All ways to match are followed at once: `reached[s]` says that the first `s`
 * tokens can match what was read so far.
 */
function matchFrom(text: string[], begin: number, tokens: Token[], longest: boolean, budget: Budget): number | undefined {
  const reached = new Uint8Array(tokens.length + 1);
  reached[0] = 1;
  let isAlive = true;
  let found: number | undefined;
  for (let at = begin; ; at += 1) {
    budget.spend(reached.length);
    // A star may match nothing.
    for (let state = 0; state < tokens.length; state += 1) if (reached[state] === 1 && tokens[state] === "*") reached[state + 1] = 1;
    if (reached[tokens.length] === 1) {
      found = at;
      if (!longest) return found;
    }
    const character = text[at];
    if (character === undefined || !isAlive) return found;
    isAlive = false;
    for (let state = tokens.length; state >= 0; state -= 1) {
      const stays = reached[state] === 1 && tokens[state] === "*" && character !== "\n";
      const arrives = state > 0 && reached[state - 1] === 1 && accepts(tokens[state - 1], character);
      reached[state] = stays || arrives ? 1 : 0;
      isAlive ||= reached[state] === 1;
    }
  }
}

function accepts(token: Token | undefined, character: string): boolean {
  if (token === undefined || token === "*") return false;
  return token === "?" ? character !== "\n" : token.literal === character;
}

function parsePattern(pattern: string): Token[] {
  const tokens: Token[] = [];
  const characters = Array.from(pattern);
  for (let at = 0; at < characters.length; at += 1) {
    const character = characters[at] ?? "";
    if (character === "*" || character === "?") {
      if (character === "?" || tokens.at(-1) !== "*") tokens.push(character);
      continue;
    }
    if (character !== "\\") {
      tokens.push({ literal: character });
      continue;
    }
    at += 1;
    const escaped = characters[at] ?? "";
    // The braces and slashes of `${…}` have to be escaped in it, which is no escape of the pattern.
    if (!["*", "?", "\\", "}", "/"].includes(escaped)) throw new RangeError(`invalid escape '\\${escaped}'`);
    tokens.push({ literal: escaped });
  }
  return tokens;
}

import { EngineError } from "../../base/errors.ts";

/**
 * Words of a Dockerfile instruction: split at blanks outside quotes, then quotes taken off and variables put in, as a shell does it.
 * `$NAME`, `${NAME}`, `${NAME:-word}` and `${NAME:+word}` are known; nothing is expanded between single quotes.
 */
export type Variables = ReadonlyMap<string, string>;

/** Splits at blanks that are neither quoted nor escaped; quotes stay. */
export function splitWords(text: string): string[] {
  return text.match(/(?:\\.|'[^']*'|"(?:\\.|[^"\\])*"|[^\s\\'"]|['"\\])+/gs) ?? [];
}

/** One word as it is meant. */
export function expandWord(word: string, variables: Variables): string {
  let result = "";
  for (let at = 0; at < word.length;) {
    const [end, value] = expandPart(word, at, variables);
    result += value;
    at = end;
  }
  return result;
}

function expandPart(word: string, at: number, variables: Variables): [number, string] {
  const first = word.charAt(at);
  if (first === "'") {
    const end = word.indexOf("'", at + 1);
    if (end === -1) throw unclosed(word);
    return [end + 1, word.slice(at + 1, end)];
  }
  if (first === '"') return expandQuoted(word, at, variables);
  if (first === "\\") return [at + 2, word.charAt(at + 1)];
  if (first === "$") return expandVariable(word, at, variables);
  return [at + 1, first];
}

function expandQuoted(word: string, start: number, variables: Variables): [number, string] {
  let result = "";
  for (let at = start + 1; at < word.length;) {
    const character = word.charAt(at);
    if (character === '"') return [at + 1, result];
    if (character === "$") {
      const [end, value] = expandVariable(word, at, variables);
      result += value;
      at = end;
    } else if (character === "\\" && /["$\\]/.test(word.charAt(at + 1))) {
      result += word.charAt(at + 1);
      at += 2;
    } else {
      result += character;
      at += 1;
    }
  }
  throw unclosed(word);
}

function expandVariable(word: string, at: number, variables: Variables): [number, string] {
  const bare = /^\$([A-Za-z_]\w*|\d)/.exec(word.slice(at));
  if (bare) return [at + bare[0].length, variables.get(bare[1] ?? "") ?? ""];
  const braced = /^\$\{([A-Za-z_]\w*)(?::([-+])([^}]*))?\}/.exec(word.slice(at));
  if (braced) {
    const [all, name = "", operator, other = ""] = braced;
    const value = variables.get(name) ?? "";
    const isSet = value !== "";
    if (operator === "-") return [at + all.length, isSet ? value : expandWord(other, variables)];
    if (operator === "+") return [at + all.length, isSet ? expandWord(other, variables) : ""];
    return [at + all.length, value];
  }
  if (word.startsWith("${", at)) throw new EngineError("invalid", `failed to process "${word}": bad substitution`);
  return [at + 1, "$"];
}

function unclosed(word: string): EngineError {
  return new EngineError("invalid", `failed to process "${word}": unexpected end of statement while looking for matching quote`);
}

/**
 * Words as a Dockerfile expands them: quotes, escapes and `$NAME`, `${NAME}`, `${NAME:-word}` and its relatives. One pass from left to right;
 * the value of a variable is never looked into again. All of a `${…}` is read, and fails, even where its outcome is not needed, as in BuildKit.
 *
 * What differs from a shell: inside double quotes only `"`, `$` and the escape character can be escaped; an unset variable is empty; there are
 * no commands and no arithmetic; `$1`, `$@` and so on are names like any other.
 */
import { EngineError } from "../base/errors.ts";
import { type Expansion, ExpansionFailure, Expander, type ExpandOptions, type Lookup } from "./expander.ts";
import type { EscapeCharacter } from "./syntax.ts";

/** A word with its variables replaced and its quotes removed. */
export function expandWord(word: string, lookup: Lookup, escape: EscapeCharacter): string {
  return expand(word, lookup, escape).text;
}

/** The same, split afterwards at blanks that no quote or escape protects: `EXPOSE $PORTS` may mean several. */
export function expandWords(word: string, lookup: Lookup, escape: EscapeCharacter, options: ExpandOptions = {}): string[] {
  return explained(word, () => new Expander(word, lookup, escape, options).words());
}

/** The content of a heredoc: variables and `\$` only, quotes are text. */
export function expandHeredoc(content: string, lookup: Lookup, escape: EscapeCharacter): string {
  return expand(content, lookup, escape, { ignoreQuotes: true }).text;
}

export function expand(word: string, lookup: Lookup, escape: EscapeCharacter, options: ExpandOptions = {}): Expansion {
  return explained(word, () => new Expander(word, lookup, escape, options).run());
}

function explained<Result>(word: string, expand: () => Result): Result {
  try {
    return expand();
  } catch (error) {
    if (error instanceof ExpansionFailure || error instanceof RangeError)
      throw new EngineError("invalid", `failed to process ${quoted(word)}: ${error.message}`);
    throw error;
  }
}

const SHOWN_WORD_LENGTH = 1000;

function quoted(word: string): string {
  return JSON.stringify(word.length > SHOWN_WORD_LENGTH ? `${word.slice(0, SHOWN_WORD_LENGTH)}…` : word);
}

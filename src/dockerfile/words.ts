/** How the rest of an instruction is split: by blanks, by blanks outside quotes, and flags at its front. */
import { isBlank, isSpace, skipSpaces } from "./characters.ts";
import type { EscapeCharacter } from "./syntax.ts";

/** A part of a logical line. `text` may lack quotes and escapes that stand between `start` and `end`. */
export interface Word {
  text: string;
  start: number;
  end: number;
}

/** Split at every run of blanks, quotes or not. */
export function splitAtBlanks(part: Word): Word[] {
  const words: Word[] = [];
  let start = 0;
  for (let at = 0; at <= part.text.length; at += 1) {
    if (at < part.text.length && !isBlank(part.text.charAt(at))) continue;
    words.push(sliceWord(part, start, at));
    while (at + 1 < part.text.length && isBlank(part.text.charAt(at + 1))) at += 1;
    start = at + 1;
  }
  return words;
}

/** Split at blanks outside quotes; quotes and escapes stay in the words. */
export function splitQuoted(part: Word, escape: EscapeCharacter): Word[] {
  const { text } = part;
  const words: Word[] = [];
  let at = 0;
  for (;;) {
    at = skipSpaces(text, at);
    if (at === text.length) return words;
    const start = at;
    let quote = "";
    let word = "";
    while (at < text.length) {
      const character = text.charAt(at);
      if (quote === "" && isSpace(character)) break;
      if (character === escape && quote !== "'") {
        // At the very end it escapes nothing and goes.
        if (at + 1 < text.length) word += character + text.charAt(at + 1);
        at += 2;
        continue;
      }
      if (quote === "" && (character === "'" || character === '"')) quote = character;
      else if (character === quote) quote = "";
      word += character;
      at += 1;
    }
    at = Math.min(at, text.length);
    if (word !== "") words.push({ text: word, start: part.start + start, end: part.start + at });
  }
}

/** The `--name=value` words at the front, without their quotes and escapes, and what comes behind them. A bare `--` ends them. */
export function takeFlags(part: Word, escape: EscapeCharacter): { flags: Word[]; rest: Word } {
  const { text } = part;
  const flags: Word[] = [];
  let at = 0;
  for (;;) {
    at = skipSpaces(text, at);
    if (!text.startsWith("--", at)) return { flags, rest: sliceWord(part, at, text.length) };
    const start = at;
    let quote = "";
    let word = "";
    while (at < text.length) {
      const character = text.charAt(at);
      if (quote === "" && isSpace(character)) break;
      if (character === escape) {
        word += text.charAt(at + 1);
        at += 2;
        continue;
      }
      if (quote === "" && (character === "'" || character === '"')) quote = character;
      else if (quote !== "" && character === quote) quote = "";
      else word += character;
      at += 1;
    }
    at = Math.min(at, text.length);
    if (word === "--") return { flags, rest: sliceWord(part, skipSpaces(text, at), text.length) };
    flags.push({ text: word, start: part.start + start, end: part.start + at });
  }
}

export function sliceWord(part: Word, start: number, end: number): Word {
  return { text: part.text.slice(start, end), start: part.start + start, end: part.start + end };
}

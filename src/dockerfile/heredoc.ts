/** `<<NAME`, `<<-NAME`, `<<"NAME"`, `3<<NAME`: words that announce a body of lines. */
import { expandWords } from "./expand.ts";

export interface HeredocWord {
  name: string;
  expand: boolean;
  chomp: boolean;
}

const NO_VARIABLES = (): undefined => undefined;

/** The heredocs that a line announces, in order. A line whose quotes are wrong announces none. */
export function heredocWordsOf(line: string): HeredocWord[] {
  if (!line.includes("<<")) return [];
  let words: string[];
  try {
    words = expandWords(line, NO_VARIABLES, "\\", { keepQuotes: true, keepEscapes: true, keepUnset: true });
  } catch {
    return [];
  }
  return words.map(parseHeredocWord).filter((word) => word !== undefined);
}

/** Undefined when it is none, also for one whose quotes are wrong. */
export function parseHeredocWord(word: string): HeredocWord | undefined {
  try {
    return readHeredocWord(word);
  } catch {
    return undefined;
  }
}

function readHeredocWord(word: string): HeredocWord | undefined {
  const match = /^\d*<<(-?)\s*([^<]+)$/.exec(word);
  const written = match?.[2];
  if (written === undefined) return undefined;
  const plain = expandWords(written, NO_VARIABLES, "\\", { keepUnset: true });
  const [name] = plain;
  if (name === undefined || plain.length !== 1) return undefined;
  const [raw = ""] = expandWords(written, NO_VARIABLES, "\\", { keepUnset: true, keepQuotes: true });
  return { name, chomp: match?.[1] === "-", expand: countQuotes(name) === countQuotes(raw) };
}

function countQuotes(text: string): number {
  return text.replace(/[^'"]/g, "").length;
}

/** How one word is read, character by character; `expand.ts` says what it comes to. */
import { Budget } from "../base/automaton.ts";
import { isSpace } from "./characters.ts";
import { removePrefix, removeSuffix, replacePattern } from "./pattern.ts";
import type { EscapeCharacter } from "./syntax.ts";

/** How long a word may become: an ENV that doubles itself line by line ends here. */
export const MAX_EXPANDED_LENGTH = 1024 * 1024;
/** Steps that matching patterns and splitting may take for one word: some 10 ms. */
const MAX_EXPANSION_STEPS = MAX_EXPANDED_LENGTH;
/** How deep `${a:-${b:-…}}` may go. */
export const MAX_EXPANSION_DEPTH = 100;

export type Lookup = (name: string) => string | undefined;

export interface ExpandOptions {
  /** Quotes stay as they are. */
  keepQuotes?: boolean;
  /** Escape characters stay before what they escape. */
  keepEscapes?: boolean;
  /** Quotes are characters like any other: contents of heredocs. */
  ignoreQuotes?: boolean;
  /** Variables without a value stay as written. */
  keepUnset?: boolean;
  /** Bounds what many words may cost together; each has one of its own otherwise. */
  budget?: Budget;
}

export interface Expansion {
  text: string;
  /** Names that were looked up, with and without a value. */
  found: Set<string>;
  missing: Set<string>;
}

/** What is wrong with a word, without the word. */
export class ExpansionFailure extends Error {}

/** Where plain text may end; both escape characters, whichever it is. */
const SPECIAL = new Set(["$", "'", '"', "<", "\\", "`"]);

/** Collects the words of a text while it is expanded. */
class WordCollector {
  readonly words: string[] = [];
  private readonly budget: Budget;
  private word = "";

  constructor(budget: Budget) {
    this.budget = budget;
  }

  /** Text in which blanks separate. */
  addLoose(text: string): void {
    this.budget.spend(text.length);
    for (const character of text) {
      if (!isSpace(character)) this.word += character;
      else this.end();
    }
  }

  addFixed(text: string): void {
    this.word += text;
  }

  end(): void {
    if (this.word !== "") this.words.push(this.word);
    this.word = "";
  }
}

/** Reads one word, once. */
export class Expander {
  private readonly source: string;
  private readonly lookup: Lookup;
  private readonly escape: EscapeCharacter;
  private readonly options: ExpandOptions;
  private readonly found = new Set<string>();
  private readonly missing = new Set<string>();
  private at = 0;
  private depth = 0;
  private readonly budget: Budget;

  constructor(source: string, lookup: Lookup, escape: EscapeCharacter, options: ExpandOptions) {
    this.source = source;
    this.lookup = lookup;
    this.escape = escape;
    this.options = options;
    this.budget = options.budget ?? new Budget(MAX_EXPANSION_STEPS);
  }

  run(): Expansion {
    const text = this.readUntil("", this.options.keepEscapes === true);
    return { text, found: this.found, missing: this.missing };
  }

  words(): string[] {
    const collector = new WordCollector(this.budget);
    this.readUntil("", this.options.keepEscapes === true, collector);
    collector.end();
    return collector.words;
  }

  /** Reads up to `stop`, which goes too, or to the end where `stop` is empty. */
  private readUntil(stop: string, keepEscapes: boolean, words?: WordCollector): string {
    let text = "";
    while (this.at < this.source.length) {
      const character = this.source.charAt(this.at);
      if (character === stop) {
        this.at += 1;
        return text;
      }
      let part: string;
      if (character === "$") {
        part = this.readVariable();
        words?.addLoose(part);
      } else if (character === "'" && this.options.ignoreQuotes !== true) {
        part = this.readSingleQuoted();
        words?.addFixed(part);
      } else if (character === '"' && this.options.ignoreQuotes !== true) {
        part = this.readDoubleQuoted(keepEscapes);
        words?.addFixed(part);
      } else if (character === "<") {
        part = this.readHeredocSign();
        words?.addFixed(part);
      } else if (character === this.escape) {
        const escaped = this.source.charAt(this.at + 1);
        this.at += 2;
        part = keepEscapes ? character + escaped : escaped;
        words?.addFixed(part);
      } else {
        part = this.readPlain(stop);
        words?.addLoose(part);
      }
      text = this.checked(text + part);
    }
    if (stop === "") return text;
    if (stop === "}") this.fail("syntax error: missing '}'");
    this.fail("syntax error: missing '/' in ${}");
  }

  /** Characters that mean nothing else, at least one. */
  private readPlain(stop: string): string {
    const begin = this.at;
    do this.at += 1;
    while (this.at < this.source.length && !SPECIAL.has(this.source.charAt(this.at)) && this.source.charAt(this.at) !== stop);
    return this.source.slice(begin, this.at);
  }

  /** `<<` and the blanks behind it stay together, so that `<< EOF` is one word. */
  private readHeredocSign(): string {
    const begin = this.at;
    this.at += 1;
    if (this.source.charAt(this.at) === "<") {
      this.at += 1;
      while (/[\t\r ]/.test(this.source.charAt(this.at))) this.at += 1;
    }
    return this.source.slice(begin, this.at);
  }

  private readSingleQuoted(): string {
    const end = this.source.indexOf("'", this.at + 1);
    if (end === -1) this.fail("unexpected end of statement while looking for matching single-quote");
    const begin = this.at;
    this.at = end + 1;
    return this.options.keepQuotes === true ? this.source.slice(begin, end + 1) : this.source.slice(begin + 1, end);
  }

  private readDoubleQuoted(keepEscapes: boolean): string {
    const quote = this.options.keepQuotes === true ? '"' : "";
    let text = quote;
    this.at += 1;
    while (this.at < this.source.length) {
      const character = this.source.charAt(this.at);
      if (character === '"') {
        this.at += 1;
        return text + quote;
      }
      if (character === "$") {
        text += this.readVariable();
      } else if (character === this.escape) {
        text += this.readEscapedInQuotes(keepEscapes);
      } else {
        text += character;
        this.at += 1;
      }
      this.checked(text);
    }
    this.fail("unexpected end of statement while looking for matching double-quote");
  }

  /** Before anything but `"`, `$` and itself the escape character is a character like any other. */
  private readEscapedInQuotes(keepEscapes: boolean): string {
    const next = this.source.charAt(this.at + 1);
    const kept = keepEscapes ? this.escape : "";
    if (next === "") {
      this.at += 1;
      return kept;
    }
    if (next === '"' || next === "$" || next === this.escape) {
      this.at += 2;
      return kept + next;
    }
    this.at += 1;
    return this.escape;
  }

  private readVariable(): string {
    this.at += 1;
    if (this.source.charAt(this.at) === "{") return this.readBraced();
    const name = this.readName();
    if (name === "") return "$";
    return this.valueOf(name) ?? (this.options.keepUnset === true ? `$${name}` : "");
  }

  private readBraced(): string {
    if (this.depth >= MAX_EXPANSION_DEPTH) this.fail(`\${…} is nested deeper than ${MAX_EXPANSION_DEPTH}`);
    this.depth += 1;
    this.at += 1;
    const first = this.source.charAt(this.at);
    if (first === "") this.fail("syntax error: missing '}'");
    if (first === "{" || first === "}" || first === ":") this.fail("syntax error: bad substitution");
    const name = this.readName();
    const text = this.readModifier(name);
    this.depth -= 1;
    return text;
  }

  private readModifier(name: string): string {
    const modifier = this.readModifierSign();
    const keep = (written: string): string | undefined =>
      this.options.keepUnset === true && this.lookup(name) === undefined ? `\${${name}${modifier}${written}}` : undefined;
    switch (modifier) {
      case "}": {
        const value = this.valueOf(name);
        return value ?? (this.options.keepUnset === true ? `\${${name}}` : "");
      }
      case "-":
      case ":-":
      case "+":
      case ":+":
      case "?":
      case ":?": {
        const word = this.readUntil("}", false);
        const value = this.valueOf(name);
        return keep(word) ?? this.substitute(name, modifier, word, value);
      }
      case "#":
      case "%": {
        const word = this.readUntil("}", true);
        const value = this.valueOf(name) ?? "";
        const isLongest = word.startsWith(modifier);
        const pattern = isLongest ? word.slice(1) : word;
        const remove = modifier === "#" ? removePrefix : removeSuffix;
        return keep(word) ?? this.matched(pattern, () => remove(value, pattern, isLongest, this.budget));
      }
      case "/":
      case "//": {
        const pattern = this.readUntil("/", true);
        const replacement = this.readUntil("}", true);
        const value = this.valueOf(name) ?? "";
        const options = { all: modifier === "//", budget: this.budget };
        return keep(`${pattern}/${replacement}`) ?? this.matched(pattern, () => replacePattern(value, pattern, replacement, options));
      }
      default:
        if (modifier === "" || modifier === ":") this.fail("syntax error: missing '}'");
        this.fail(`unsupported modifier (${modifier}) in substitution`);
    }
  }

  private readModifierSign(): string {
    const length = /^(?::[\s\S]|\/\/)/.test(this.source.slice(this.at, this.at + 2)) ? 2 : 1;
    const sign = this.source.slice(this.at, this.at + length);
    this.at += sign.length;
    return sign;
  }

  private substitute(name: string, modifier: string, word: string, value: string | undefined): string {
    const isAbsent = value === undefined || (value === "" && modifier.startsWith(":"));
    if (modifier.endsWith("-")) return isAbsent ? word : value;
    if (modifier.endsWith("+")) return isAbsent ? "" : word;
    if (!isAbsent) return value;
    this.fail(`${name}: ${word === "" ? `is not allowed to be ${value === undefined ? "unset" : "empty"}` : word}`);
  }

  private matched(pattern: string, change: () => string): string {
    try {
      return change();
    } catch (error) {
      if (error instanceof RangeError) this.fail(`invalid pattern (${pattern}) in substitution: ${error.message}`);
      throw error;
    }
  }

  /** Letters, digits and `_`; digits alone where it begins with one; or one special parameter. */
  private readName(): string {
    const begin = this.at;
    const first = this.source.charAt(begin);
    if (/[@*#?\-$!]/.test(first)) this.at += 1;
    else if (/\p{Nd}/u.test(first)) while (/\p{Nd}/u.test(this.source.charAt(this.at))) this.at += 1;
    else while (/[\p{L}\p{Nd}_]/u.test(this.source.charAt(this.at))) this.at += 1;
    return this.source.slice(begin, this.at);
  }

  private valueOf(name: string): string | undefined {
    const value = this.lookup(name);
    (value === undefined ? this.missing : this.found).add(name);
    return value;
  }

  private checked(text: string): string {
    if (text.length > MAX_EXPANDED_LENGTH) this.fail(`it becomes longer than ${MAX_EXPANDED_LENGTH} characters`);
    return text;
  }

  private fail(message: string): never {
    throw new ExpansionFailure(message);
  }
}

import { EngineError } from "../../base/errors.ts";

/**
 * dockerd's flag grammar, which is that of Go's pflag: `--name value`, `--name=value`, `-Hvalue`, `-H value`, `-DH value`; a boolean takes
 * its value only after `=`; `--` ends the flags. Errors are pflag's words.
 */
export interface Flag {
  name: string;
  short?: string;
  kind: "string" | "boolean" | "integer" | "list";
}

/** What was given, by flag name. A flag given twice: the last one wins, or both in a list. */
export type FlagValues = Map<string, string | boolean | number | string[]>;

export function parseFlags(args: readonly string[], flags: readonly Flag[]): FlagValues {
  const values: FlagValues = new Map();
  const queue = [...args];
  for (let word = queue.shift(); word !== undefined; word = queue.shift()) {
    if (word === "--") {
      if (queue.length > 0) throw new EngineError("invalid", `"tsubod" accepts no arguments: ${queue.join(" ")}`);
    } else if (word.startsWith("--")) {
      takeLong(word, queue, flags, values);
    } else if (word.startsWith("-") && word.length > 1) {
      takeShort(word, queue, flags, values);
    } else {
      throw new EngineError("invalid", `"tsubod" accepts no arguments: ${word}`);
    }
  }
  return values;
}

function takeLong(word: string, queue: string[], flags: readonly Flag[], values: FlagValues): void {
  const equals = word.indexOf("=");
  const name = word.slice(2, equals < 0 ? undefined : equals);
  const flag = flags.find((candidate) => candidate.name === name);
  if (flag === undefined) throw new EngineError("invalid", `unknown flag: --${name}`);
  if (equals >= 0) return store(flag, word.slice(equals + 1), values);
  if (flag.kind === "boolean") return store(flag, "true", values);
  const value = queue.shift();
  if (value === undefined) throw new EngineError("invalid", `flag needs an argument: --${name}`);
  store(flag, value, values);
}

/** One dash: a row of letters; the first that takes a value takes the rest of the word, else the next word. */
function takeShort(word: string, queue: string[], flags: readonly Flag[], values: FlagValues): void {
  for (let at = 1; at < word.length; at += 1) {
    const letter = word.charAt(at);
    const rest = word.slice(at + 1);
    const flag = flags.find(({ short }) => short === letter);
    if (flag === undefined) throw new EngineError("invalid", `unknown shorthand flag: '${letter}' in -${word.slice(1)}`);
    if (rest.startsWith("=")) return store(flag, rest.slice(1), values);
    if (flag.kind === "boolean") {
      store(flag, "true", values);
      continue;
    }
    const value = rest === "" ? queue.shift() : rest;
    if (value === undefined) throw new EngineError("invalid", `flag needs an argument: '${letter}' in -${word.slice(1)}`);
    return store(flag, value, values);
  }
}

function store(flag: Flag, text: string, values: FlagValues): void {
  const refuse = (parser: string): never => {
    const shown = flag.short === undefined ? `--${flag.name}` : `-${flag.short}, --${flag.name}`;
    throw new EngineError("invalid", `invalid argument "${text}" for "${shown}" flag: ${parser}: parsing "${text}": invalid syntax`);
  };
  switch (flag.kind) {
    case "boolean":
      values.set(flag.name, parseGoBoolean(text) ?? refuse("strconv.ParseBool"));
      return;
    case "integer":
      values.set(flag.name, /^[+-]?\d{1,15}$/.test(text) ? Number(text) : refuse("strconv.ParseInt"));
      return;
    case "string":
      values.set(flag.name, text);
      return;
    case "list": {
      const before = values.get(flag.name);
      values.set(flag.name, [...(Array.isArray(before) ? before : []), text]);
    }
  }
}

/** Go's strconv.ParseBool. */
export function parseGoBoolean(text: string): boolean | undefined {
  if (["1", "t", "T", "true", "TRUE", "True"].includes(text)) return true;
  if (["0", "f", "F", "false", "FALSE", "False"].includes(text)) return false;
  return undefined;
}

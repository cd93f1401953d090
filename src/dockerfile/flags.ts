/** The `--name=value` flags of one instruction, against those that it knows. */
import { trimSpace } from "./characters.ts";
import { suggestion } from "./suggest.ts";
import type { Word } from "./words.ts";

interface FlagValues {
  text: string | undefined;
  texts: { text: string; word: Word }[];
  boolean: boolean | undefined;
}

/** The names an instruction knows, and what each takes. Only `texts` may be repeated. */
export type KnownFlags = Record<string, keyof FlagValues>;

export type ParsedFlags<Known extends KnownFlags> = { [Name in keyof Known]: FlagValues[Known[Name]] };

export type Fail = (message: string, word?: Word) => never;

export function parseFlags<Known extends KnownFlags>(words: Word[], known: Known, fail: Fail): ParsedFlags<Known> {
  const values: Record<string, FlagValues[keyof FlagValues]> = {};
  for (const [name, type] of Object.entries(known)) values[name] = type === "texts" ? [] : undefined;
  const seen = new Set<string>();
  for (const word of words) {
    const equals = word.text.indexOf("=");
    const flag = equals === -1 ? word.text : word.text.slice(0, equals);
    const value = equals === -1 ? undefined : word.text.slice(equals + 1);
    const name = flag.slice(2);
    const type = Object.hasOwn(known, name) ? known[name] : undefined;
    if (type === undefined) fail(`unknown flag: ${flag}${suggestion(name, Object.keys(known))}`, word);
    if (seen.has(name) && type !== "texts") fail(`duplicate flag specified: ${flag}`, word);
    seen.add(name);
    if (type === "boolean") {
      values[name] = booleanOf(flag, value, word, fail);
      continue;
    }
    if (value === undefined) fail(`missing a value on flag: ${flag}`, word);
    if (type === "text") values[name] = value;
    else (values[name] as FlagValues["texts"]).push({ text: value, word });
  }
  // Each name has got a value of its own type above.
  return values as ParsedFlags<Known>;
}

function booleanOf(flag: string, value: string | undefined, word: Word, fail: Fail): boolean {
  if (value === "") fail(`missing a value on flag: ${flag}`, word);
  switch (value?.toLowerCase()) {
    case undefined:
    case "true":
      return true;
    case "false":
      return false;
    default:
      fail(`expecting boolean value for flag ${flag}, not: ${value ?? ""}`, word);
  }
}

/** A comma-separated list whose fields may be in double quotes, as `--mount` and `--device` take it. */
export function splitFields(text: string): string[] {
  const fields: string[] = [];
  let at = 0;
  for (;;) {
    if (text.charAt(at) === '"') {
      const quoted = /^"((?:[^"]|"")*)"(?=,|$)/.exec(text.slice(at));
      if (quoted === null) throw new RangeError(`extraneous or missing " in quoted-field`);
      fields.push((quoted[1] ?? "").replaceAll('""', '"'));
      at += quoted[0].length;
    } else {
      const comma = text.indexOf(",", at);
      const end = comma === -1 ? text.length : comma;
      const field = text.slice(at, end);
      if (field.includes('"')) throw new RangeError(`bare " in non-quoted field`);
      fields.push(trimSpace(field));
      at = end;
    }
    if (at >= text.length) return fields;
    at += 1;
  }
}

import { readFileSync } from "node:fs";
import path from "node:path";
import { isDeepStrictEqual } from "node:util";
import { parse } from "yaml";

import type { Observation } from "./observe.ts";

/** `differences.yaml`: where we are to differ from the reference engine, and why. */
type Difference = { reason: string } & (
  | /** A text that is worded otherwise wherever it appears: a regular expression, and what is in its place. */ { wording: string; ours: string }
  | /** One value of some cases, by its path in the golden file. */ { cases: string[]; at: string; ours?: unknown }
);

export class Differences {
  readonly #all: Difference[];
  readonly #seen = new Set<Difference>();

  constructor() {
    // The repository's own data.
    this.#all = parse(readFileSync(path.join(import.meta.dirname, "differences.yaml"), "utf8")) as Difference[];
  }

  /** What is expected of us where the reference does this. */
  applied(name: string, golden: Observation): Observation {
    // As JSON has it.
    let expected = golden;
    for (const difference of this.#all) {
      if ("wording" in difference) {
        const { text = [], error } = expected;
        const replaced = (line: string): string => line.replaceAll(new RegExp(difference.wording, "g"), difference.ours);
        const next = { ...expected, ...(expected.text === undefined ? {} : { text: text.map(replaced) }), ...(error === undefined ? {} : { error: { ...error, message: replaced(error.message) } }) };
        if (!isDeepStrictEqual(next, expected)) this.#seen.add(difference);
        expected = next;
      } else if (difference.cases.includes(name)) {
        expected = replacedAt(expected, difference.at.split("."), difference.ours) as Observation;
        if (!isDeepStrictEqual(expected, golden)) this.#seen.add(difference);
      }
    }
    return expected;
  }

  /** Those that make no difference to any case. */
  idle(): string[] {
    return this.#all.filter((difference) => !this.#seen.has(difference)).map(({ reason }) => reason);
  }
}

function replacedAt(value: unknown, [key, ...rest]: string[], ours: unknown): unknown {
  if (key === undefined) return ours;
  if (Array.isArray(value)) return value.with(Number(key), replacedAt(value[Number(key)], rest, ours)) as unknown[];
  const members = { ...(value as Record<string, unknown> | undefined) };
  const next = replacedAt(members[key], rest, ours);
  if (next === undefined) delete members[key];
  else members[key] = next;
  return members;
}

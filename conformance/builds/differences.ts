import { readFileSync } from "node:fs";
import path from "node:path";
import { isDeepStrictEqual } from "node:util";
import { parse } from "yaml";

import type { Observation } from "./observe.ts";

/** `differences.yaml`: where we are to differ from the reference engine, and why. */
type Difference = { reason: string } & (
  | { /** What is worded otherwise wherever it is said, as a regular expression. */ wording: string; ours: string }
  | { cases: string[]; /** What is put into what is recorded, member by member; one that is null at the top is not there. */ ours: object }
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
    let expected = golden;
    for (const difference of this.#all) {
      const next =
        "wording" in difference
          ? reworded(expected, difference)
          : difference.cases.includes(name)
            ? merged(expected, difference.ours)
            : expected;
      if (isDeepStrictEqual(next, expected)) {
        if ("cases" in difference && difference.cases.includes(name)) throw new Error(`${name} differs no more: ${difference.reason}`);
        continue;
      }
      this.#seen.add(difference);
      expected = next;
    }
    return expected;
  }

  /** Those that make no difference to any case. */
  idle(): string[] {
    return this.#all.filter((difference) => !this.#seen.has(difference)).map(({ reason }) => reason);
  }
}

function reworded(golden: Observation, { wording, ours }: { wording: string; ours: string }): Observation {
  const replaced = (line: string): string => line.replaceAll(new RegExp(wording, "g"), ours);
  const { text, error } = golden;
  return {
    ...golden,
    ...(text === undefined ? {} : { text: text.map(replaced) }),
    ...(error === undefined ? {} : { error: { ...error, message: replaced(error.message) } }),
  };
}

function merged(golden: Observation, ours: object): Observation {
  const all = Object.entries(mergedDeep(golden, ours) as object).filter(([, value]) => value !== null);
  return Object.fromEntries<unknown>(all);
}

function mergedDeep(theirs: unknown, ours: unknown): unknown {
  const isMap = (value: unknown): value is object => typeof value === "object" && value !== null && !Array.isArray(value);
  if (!isMap(theirs) || !isMap(ours)) return ours;
  const members = Object.entries(ours).map(([key, value]) => [key, mergedDeep((theirs as Record<string, unknown>)[key], value)]);
  return { ...theirs, ...(Object.fromEntries(members) as object) };
}

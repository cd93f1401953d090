import type { Flag } from "../arguments.ts";
import { parseCsv } from "./values.ts";

/** Flags that take several values at once, with commas between them, and may come several times. */

export function stringsFlag(name: string, usage: string): Flag {
  return { name, kind: "list", value: "strings", usage, check: checkList };
}

/** Their values, one by one. */
export function splitLists(given: readonly string[]): string[] {
  return given.flatMap((text) => (text === "" ? [] : parseCsv(text)));
}

function checkList(text: string): string {
  splitLists([text]);
  return text;
}

import type { Flag } from "../arguments.ts";
import { cut } from "./values.ts";

/** `--filter name=value`, and how filters travel. */

export function filterFlag(usage: string, short?: "f"): Flag {
  return { name: "filter", ...(short && { short }), kind: "list", value: "filter", usage, check: checkFilter };
}

function checkFilter(text: string): string {
  if (text !== "" && !text.includes("=")) throw new Error("bad format of filter (expected name=value)");
  return text;
}

/** The `filters` query: each name with its values as keys of true, the form that every engine version reads. */
export function encodeFilters(given: readonly string[]): string | undefined {
  const filters: Record<string, Record<string, boolean>> = {};
  for (const filter of given.filter((each) => each !== "")) {
    const [name, value = ""] = cut(filter, "=");
    (filters[name.trim().toLowerCase()] ??= {})[value.trim()] = true;
  }
  return Object.keys(filters).length === 0 ? undefined : JSON.stringify(filters);
}

/** What is pruned: as given, and what config.json says for every prune, but for labels that contradict what was given. */
export function pruneFilters(given: readonly string[], config: readonly string[]): string | undefined {
  const opposite = (filter: string): string | undefined =>
    /^label!?=/.exec(filter)?.[0].endsWith("!=")
      ? filter.replace("!=", "=")
      : filter.startsWith("label=")
        ? filter.replace("=", "!=")
        : undefined;
  return encodeFilters([...given, ...config.filter((filter) => filter.includes("=") && !given.includes(opposite(filter) ?? ""))]);
}

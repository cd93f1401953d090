/**
 * JSON as the Engine API needs it: integers beyond 2^53 keep their digits (as bigint), Maps are objects, and what is malformed is refused
 * in the words of Go's decoder.
 */

/** Parses `text`; integers that a number cannot hold come back as bigint. */
export function parseJson(text: string): unknown {
  return JSON.parse(text, (_key, value: unknown, context?: { source?: string }) => {
    if (typeof value === "number" && !Number.isSafeInteger(value) && context?.source !== undefined && /^-?\d+$/.test(context.source)) {
      return BigInt(context.source);
    }
    return value;
  });
}

// JSON.rawJSON (V8 11.4, Node 22) writes a number with all its digits; TypeScript's library does not know it yet.
const { rawJSON } = JSON as typeof JSON & { rawJSON: (text: string) => unknown };

/** The JSON of a value that may hold bigints and Maps. */
export function encodeJson(value: unknown): string {
  return JSON.stringify(value, (_key, item: unknown) => {
    if (typeof item === "bigint") return rawJSON(String(item));
    if (item instanceof Map) return Object.fromEntries(item);
    return item;
  });
}

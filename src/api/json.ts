import { EngineError } from "../base/errors.ts";
import { scanJson } from "./json-syntax.ts";

/**
 * JSON as the Engine API needs it: integers beyond 2^53 keep their digits (as bigint), Maps are objects, and what is malformed is refused
 * in the words of Go's decoder.
 */

/** Go's decoder allows 10,000; nothing in the API is nested deeper than ten. Decoders and the reviver recurse as deep. */
const MAX_DEPTH = 500;

/** Parses `text`; integers that a number cannot hold come back as bigint. Throws `invalid` in Docker's words. */
export function parseJson(text: string): unknown {
  if (depthOf(text) > MAX_DEPTH) throw new EngineError("invalid", "invalid JSON: exceeded max depth");
  try {
    return parse(text);
  } catch {
    const scanned = scanJson(text);
    if ("trouble" in scanned) throw new EngineError("invalid", `invalid JSON: ${scanned.trouble}`);
    // Go decodes the first value, then looks whether there is more; a closing bracket is no more.
    if (/^\s*[^\s\]}]/.test(text.slice(scanned.end))) throw new EngineError("invalid", "unexpected content after JSON");
    return parse(text.slice(0, scanned.end));
  }
}

function parse(text: string): unknown {
  return JSON.parse(text, (_key, value: unknown, context?: { source?: string }) => {
    if (typeof value === "number" && !Number.isSafeInteger(value) && context?.source !== undefined && /^-?\d+$/.test(context.source)) {
      return BigInt(context.source);
    }
    return value;
  });
}

/** The most brackets that are open at once, at least; exact for well-formed text. */
function depthOf(text: string): number {
  let depth = 0;
  let deepest = 0;
  let inString = false;
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (inString) {
      if (code === 0x5c) at += 1;
      else if (code === 0x22) inString = false;
    } else if (code === 0x22) {
      inString = true;
    } else if (code === 0x7b || code === 0x5b) {
      depth += 1;
      if (depth > deepest) deepest = depth;
    } else if (code === 0x7d || code === 0x5d) {
      depth -= 1;
    }
  }
  return deepest;
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

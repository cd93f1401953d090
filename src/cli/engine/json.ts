/**
 * JSON with whole numbers beyond 2^53 kept: `HostConfig.Memory` and its like are 64-bit integers, which a JavaScript number rounds. They
 * become bigints when read and plain digits when written.
 */

// JSON.rawJSON (V8 since Node 21) is not in TypeScript's library.
const { rawJSON } = JSON as unknown as { rawJSON: (this: void, text: string) => unknown };

export function encodeJson(value: unknown): string {
  return JSON.stringify(value, (_key, item: unknown) => (typeof item === "bigint" ? rawJSON(String(item)) : item));
}

export function decodeJson(text: string): unknown {
  // TypeScript does not know the reviver's third parameter yet (V8 since Node 21).
  const reviver = (_key: string, value: unknown, context?: { source?: string }): unknown =>
    typeof value === "number" && !Number.isSafeInteger(value) && /^-?\d+$/.test(context?.source ?? "")
      ? BigInt(context?.source ?? "")
      : value;
  return JSON.parse(text, reviver);
}

/** Rewrites JSON text with other white space and nothing else changed (order, escapes and digits stay): Go's json.Indent and Compact. */
export function reformatJson(text: string, indent: string): string {
  const pretty = indent !== "";
  const out: string[] = [];
  let depth = 0;
  const newline = (): void => {
    if (pretty) out.push("\n", indent.repeat(depth));
  };
  const tokens = text.matchAll(/"(?:[^"\\]|\\.)*"|[[\]{},:]|[^\s"[\]{},:]+/gs);
  let opened = false;
  for (const [token] of tokens) {
    if (token === "}" || token === "]") {
      depth -= 1;
      if (!opened) newline();
      opened = false;
      out.push(token);
      continue;
    }
    if (opened) newline();
    opened = false;
    out.push(token);
    if (token === "{" || token === "[") {
      depth += 1;
      opened = true;
    } else if (token === ",") newline();
    else if (token === ":" && pretty) out.push(" ");
  }
  return out.join("");
}

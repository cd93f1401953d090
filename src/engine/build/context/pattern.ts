/** Go's path.Match: `*` and `?` stay within a part of the path, `[a-z]`, `[^a]`, `\x`. With `acrossFolders`, `**` takes whole parts. */
export function isMatch(pattern: string, path: string, acrossFolders = false): boolean {
  return compile(pattern, acrossFolders)?.test(path) ?? false;
}

export function isPattern(path: string): boolean {
  return /[*?[\\]/.test(path);
}

const compiled = new Map<string, RegExp | undefined>();
const MAX_COMPILED = 200;

function compile(pattern: string, acrossFolders: boolean): RegExp | undefined {
  const key = `${acrossFolders ? "+" : "-"}${pattern}`;
  if (!compiled.has(key)) {
    if (compiled.size >= MAX_COMPILED) compiled.clear();
    compiled.set(key, translate(pattern, acrossFolders));
  }
  return compiled.get(key);
}

/** Undefined for a pattern that is malformed: it matches nothing. */
function translate(pattern: string, acrossFolders: boolean): RegExp | undefined {
  let source = "";
  for (let at = 0; at < pattern.length; at += 1) {
    const character = pattern[at] ?? "";
    if (character === "*") {
      let stars = 1;
      while (pattern[at + 1] === "*") {
        at += 1;
        stars += 1;
      }
      if (stars === 1 || !acrossFolders) source += "[^/]*";
      else if (pattern[at + 1] === "/") {
        at += 1;
        source += "(?:[^/]+/)*";
      } else source += ".*";
    } else if (character === "?") source += "[^/]";
    else if (character === "\\") {
      at += 1;
      if (at >= pattern.length) return undefined;
      source += escape(pattern[at] ?? "");
    } else if (character === "[") {
      const parsed = parseClass(pattern, at);
      if (parsed === undefined) return undefined;
      source += parsed.source;
      at = parsed.end;
    } else source += escape(character);
  }
  return new RegExp(`^${source}$`, "s");
}

function parseClass(pattern: string, start: number): { source: string; end: number } | undefined {
  const end = pattern.indexOf("]", start + 2);
  if (end === -1) return undefined;
  const isNegated = pattern[start + 1] === "^";
  const inner = pattern.slice(start + (isNegated ? 2 : 1), end);
  if (inner === "") return undefined;
  const source = inner.replaceAll(/[\\\]^]/g, (character) => `\\${character}`);
  try {
    const text = `${isNegated ? "(?!/)" : ""}[${isNegated ? "^" : ""}${source}]`;
    void new RegExp(text);
    return { source: text, end };
  } catch {
    return undefined;
  }
}

function escape(character: string): string {
  return /[\w/]/.test(character) ? character : `\\${character}`;
}

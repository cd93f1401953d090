/**
 * `.dockerignore`: which paths of a context are left out.
 *
 * A line is a pattern over whole paths relative to the context's root. `*` and `?` stop at slashes, `**` does not, `[a-z]` and `[^a-z]` are
 * classes, `\` takes the meaning from what follows. A pattern that matches a folder matches all below it. `!` in front takes back in what
 * earlier lines left out: the last line that matches decides. Matched without regular expressions, in time bounded by the length of the path
 * times that of the pattern, because both come from strangers.
 */

/** What is known about a path: the lines that matched it or a folder above it. */
export type Verdict = { readonly ignored: boolean; readonly matched: readonly boolean[] };

export type IgnorePatterns = {
  /** The verdict of the root, from which those of all paths follow. */
  readonly root: Verdict;
  /** The verdict on a path whose folder has the verdict `above`. */
  judge(path: string, above: Verdict): Verdict;
  /** Whether a path is left out, asked without its folder's verdict. */
  ignores(path: string): boolean;
  /** Whether something below an ignored folder may be taken back in. */
  mayKeepBelow(folder: string): boolean;
};

/** The patterns in a file's text. */
export function parseIgnoreFile(text: string): string[] {
  return text
    .replace(/^\uFEFF/, "")
    .split(/\r?\n/)
    .filter((line) => !line.startsWith("#") && line.trim() !== "")
    .map((line) => {
      const [, not = "", pattern = ""] = /^(!?)(.*)$/s.exec(line.trim()) ?? [];
      return not + (pattern.trim() === "" ? "" : clean(pattern.trim()).replace(/^\/(?=.)/, ""));
    });
}

/** Throws when a pattern is none. */
export function compileIgnorePatterns(patterns: readonly string[]): IgnorePatterns {
  const compiled = patterns.filter((pattern) => pattern.trim() !== "").map((pattern) => compile(pattern.trim()));
  const root: Verdict = { ignored: false, matched: compiled.map(() => false) };
  const judge = (path: string, above: Verdict): Verdict => {
    let ignored = false;
    const matched = compiled.map(({ negated, test }, at) => {
      // A line that would change nothing need not be tried.
      const matches = above.matched[at] === true || (negated === ignored && test(path));
      if (matches) ignored = !negated;
      return matches;
    });
    return { ignored, matched };
  };
  return {
    root,
    judge,
    ignores: (path) => {
      const parts = path.split("/");
      return parts.reduce((above, _, at) => judge(parts.slice(0, at + 1).join("/"), above), root).ignored;
    },
    mayKeepBelow: (folder) => compiled.some(({ negated, reaches }) => negated && reaches(folder)),
  };
}

type Compiled = { readonly negated: boolean; readonly test: (path: string) => boolean; readonly reaches: (folder: string) => boolean };

function compile(given: string): Compiled {
  const negated = given.startsWith("!");
  if (given === "!") throw new Error('illegal exclusion pattern: "!"');
  const pattern = clean(negated ? given.slice(1) : given);
  if (!/[*?[\]\\]/.test(pattern)) {
    return { negated, test: (path) => path === pattern, reaches: (folder) => pattern.startsWith(`${folder}/`) };
  }
  const tokens = parse(pattern);
  // What stands before the first wildcard is compared; behind it anything may come.
  const fixed = /^[^*?[\]\\]*(?=.)/.exec(pattern)?.[0] ?? "";
  return {
    negated,
    test: (path) => matches(tokens, path),
    reaches: (folder) => fixed.startsWith(`${folder}/`) || `${folder}/`.startsWith(fixed),
  };
}

/** One step of a pattern: a character, one of several, or a run: within a part of the path, of whole parts, or of anything. */
type Token = string | ((character: string) => boolean) | { readonly run: "part" | "parts" | "all" };

function parse(pattern: string): Token[] {
  const characters = Array.from(pattern);
  const tokens: Token[] = [];
  for (let at = 0; at < characters.length; at += 1) {
    const character = characters[at] ?? "";
    if (character === "*" && characters[at + 1] === "*") {
      at += 1;
      if (characters[at + 1] === "/") at += 1;
      // `**` at the end takes all; so does one in front of nothing but plain text, `**.go`, which then ends names as well.
      const rest = characters.slice(at + 1).join("");
      const isAll = rest === "" || (at === 1 && !/[*?[\]\\]/.test(rest));
      tokens.push({ run: isAll ? "all" : "parts" });
    } else if (character === "*") tokens.push({ run: "part" });
    else if (character === "?") tokens.push((one) => one !== "/");
    else if (character === "[") {
      const end = classEnd(characters, at);
      tokens.push(classOf(characters.slice(at + 1, end)));
      at = end;
    } else if (character === "\\") {
      at += 1;
      if (characters[at] === undefined) throw new Error("syntax error in pattern");
      tokens.push(characters[at] ?? "");
    } else tokens.push(character);
  }
  return tokens;
}

function classEnd(characters: readonly string[], start: number): number {
  for (let at = start + (characters[start + 1] === "^" ? 3 : 2); at < characters.length; at += 1) {
    if (characters[at] === "]" && characters[at - 1] !== "\\") return at;
  }
  throw new Error("syntax error in pattern");
}

function classOf(content: readonly string[]): (character: string) => boolean {
  const negated = content[0] === "^";
  const ranges: [string, string][] = [];
  const members = content.slice(negated ? 1 : 0).filter((one, at, all) => one !== "\\" || all[at - 1] === "\\");
  for (let at = 0; at < members.length; at += 1) {
    const low = members[at] ?? "";
    const high = members[at + 1] === "-" ? members[at + 2] : low;
    if (high === undefined) throw new Error("syntax error in pattern");
    if (members[at + 1] === "-") at += 2;
    ranges.push([low, high]);
  }
  return (character) => ranges.some(([low, high]) => low <= character && character <= high) !== negated;
}

/** Follows all ways through the pattern at once: `here` are the tokens that the next character may meet. */
function matches(tokens: readonly Token[], path: string): boolean {
  let here = new Set<number>();
  const enter = (states: Set<number>, at: number): void => {
    states.add(at);
    const token = tokens[at];
    if (typeof token === "object" && !states.has(at + 1)) enter(states, at + 1);
  };
  enter(here, 0);
  for (const character of path) {
    const next = new Set<number>();
    for (const at of here) {
      const token = tokens[at];
      if (token === undefined) continue;
      if (typeof token === "string") {
        if (token === character) enter(next, at + 1);
      } else if (typeof token === "function") {
        if (token(character)) enter(next, at + 1);
      } else if (token.run === "parts") {
        next.add(at);
        if (character === "/") enter(next, at + 1);
      } else if (token.run === "all" || character !== "/") enter(next, at);
    }
    if (next.size === 0) return false;
    here = next;
  }
  return here.has(tokens.length);
}

/** The shortest path that means the same, as Go's filepath.Clean makes it. */
function clean(path: string): string {
  const isAbsolute = path.startsWith("/");
  const parts: string[] = [];
  for (const part of path.split("/")) {
    if (part === "" || part === ".") continue;
    if (part !== ".." || (!isAbsolute && (parts.length === 0 || parts.at(-1) === ".."))) parts.push(part);
    else parts.pop();
  }
  return (isAbsolute ? "/" : "") + parts.join("/") || ".";
}

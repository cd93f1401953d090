import { compileGlob, type Glob } from "../../../base/glob.ts";

/** Patterns of COPY's sources: Go's path.Match, with `**` for whole folders where `--parents` is given. Paths are binary strings. */
export function isMatch(pattern: string, path: string, acrossFolders = false): boolean {
  return compile(pattern, acrossFolders)?.matches(Buffer.from(path, "latin1").toString("utf8")) ?? false;
}

export function isPattern(path: string): boolean {
  return /[*?[\\]/.test(path);
}

const compiled = new Map<string, Glob | undefined>();
const MAX_COMPILED = 200;

/** Undefined for a pattern that is malformed: it matches nothing. */
function compile(pattern: string, acrossFolders: boolean): Glob | undefined {
  const key = `${acrossFolders ? "+" : "-"}${pattern}`;
  if (compiled.has(key)) return compiled.get(key);
  if (compiled.size >= MAX_COMPILED) compiled.clear();
  let glob: Glob | undefined;
  try {
    glob = compileGlob(Buffer.from(pattern, "latin1").toString("utf8"), { doubleStar: acrossFolders });
  } catch {
    // Docker takes it for one that matches nothing.
  }
  compiled.set(key, glob);
  return glob;
}

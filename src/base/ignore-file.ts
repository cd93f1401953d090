/**
 * `.dockerignore`, `NAME.dockerignore` and `--exclude`: what of a context is left out. A pattern means a path and all that is inside; the last one
 * that matches decides; `!` takes back in.
 */
import path from "node:path/posix";

import { EngineError, messageOf } from "./errors.ts";
import { compileGlob, type Glob } from "./glob.ts";

export const MAX_IGNORE_FILE_BYTES = 1024 * 1024;
export const MAX_IGNORE_PATTERNS = 10_000;
/** Folders whose results are kept for what is inside them. */
const MAX_KNOWN_FOLDERS = 10_000;

/** The patterns of an ignore file, in order, cleaned: no comments, no blanks around, no leading slash. */
export function parseIgnoreFile(text: string): string[] {
  if (text.length > MAX_IGNORE_FILE_BYTES) throw invalid(`the ignore file is larger than ${MAX_IGNORE_FILE_BYTES} bytes`);
  const patterns: string[] = [];
  for (const line of text.replace(/^\ufeff/, "").split("\n")) {
    if (line.startsWith("#")) continue;
    const written = line.trim();
    if (written === "") continue;
    const sign = written.startsWith("!") ? "!" : "";
    const pattern = written.slice(sign.length).trim();
    patterns.push(sign + (pattern === "" ? "" : cleanPattern(pattern).replace(/^\/(?=.)/, "")));
  }
  if (patterns.length > MAX_IGNORE_PATTERNS) throw invalid(`the ignore file has more than ${MAX_IGNORE_PATTERNS} patterns`);
  return patterns;
}

export class IgnoreMatcher {
  private readonly patterns: Pattern[];
  private readonly folders = new Map<string, Verdict>();

  constructor(patterns: readonly string[]) {
    this.patterns = patterns.map(compile).filter((pattern) => pattern !== undefined);
  }

  /** Of a clean relative path. The context itself is never ignored. */
  isIgnored(file: string): boolean {
    return file !== "." && file !== "" && this.judge(file).isIgnored;
  }

  /** Whether an ignored folder has to be looked into, since an exception may match inside. */
  mayHoldIncluded(folder: string): boolean {
    return this.patterns.some((pattern) => pattern.isException && pattern.mayMatchInside(folder));
  }

  /**
   * What matched a folder holds for all that is inside. A pattern that would change nothing is not looked at, and so is not known to have
   * matched the folder: `!a*` does not bring `a/b` back when only `a/b` is ignored. Docker has it so.
   */
  private judge(file: string): Verdict {
    const slash = file.lastIndexOf("/");
    const above = slash === -1 ? undefined : this.judgeFolder(file.slice(0, slash));
    const matched = new Uint8Array(this.patterns.length);
    let isIgnored = false;
    for (const [index, pattern] of this.patterns.entries()) {
      const isMatch = above?.matched[index] === 1 || (pattern.isException === isIgnored && pattern.matches(file));
      if (!isMatch) continue;
      matched[index] = 1;
      isIgnored = !pattern.isException;
    }
    return { isIgnored, matched };
  }

  private judgeFolder(folder: string): Verdict {
    const known = this.folders.get(folder);
    if (known !== undefined) return known;
    const verdict = this.judge(folder);
    if (this.folders.size >= MAX_KNOWN_FOLDERS) this.folders.clear();
    this.folders.set(folder, verdict);
    return verdict;
  }
}

interface Verdict {
  isIgnored: boolean;
  /** 1 for each pattern that matched the path or a folder above it. */
  matched: Uint8Array;
}

interface Pattern extends Glob {
  /** With `!`. */
  isException: boolean;
}

function compile(written: string): Pattern | undefined {
  const trimmed = written.trim();
  if (trimmed === "") return undefined;
  const isException = trimmed.startsWith("!");
  const pattern = cleanPattern(isException ? trimmed.slice(1) : trimmed);
  if (isException && trimmed.length === 1) throw invalid('illegal exclusion pattern: "!"');
  try {
    return { isException, ...globOf(pattern) };
  } catch (error) {
    throw invalid(`invalid pattern ${JSON.stringify(written)}: ${messageOf(error)}`);
  }
}

/** `name**` means all that begins so, and `**name` all that ends so, as long as nothing else in it is a pattern: Docker's shortcuts. */
function globOf(pattern: string): Glob {
  const glob = compileGlob(pattern, { doubleStar: true });
  const begin = /^([^*?[\]\\]+)\*\*$/.exec(pattern)?.[1];
  if (begin !== undefined) return { ...glob, matches: (file) => file.startsWith(begin) };
  const end = /^\*\*([^*?[\]\\/][^*?[\]\\]*)$/.exec(pattern)?.[1];
  if (end !== undefined) return { matches: (file) => file.endsWith(end), mayMatchInside: () => true };
  return glob;
}

/** Go's `filepath.Clean`. */
function cleanPattern(pattern: string): string {
  const normal = path.normalize(pattern);
  return normal.length > 1 && normal.endsWith("/") ? normal.slice(0, -1) : normal;
}

function invalid(message: string): EngineError {
  return new EngineError("invalid", message);
}

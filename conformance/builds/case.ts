import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { parse } from "yaml";

import type { File } from "./context.ts";

/**
 * Cases of the differential suite, as data: `cases/GROUP.yaml` is a list of them, `golden/GROUP.json` says what the reference engine made
 * of each. README.md has the words.
 */
export interface Case {
  /** Of its own among all cases: it keeps the cases' caches apart, too. */
  name: string;
  /** `FROM base` is a small busybox; none: the context has no Dockerfile. */
  dockerfile?: string;
  /** Files by path; `/` at the end makes a folder. Folders above are made where they are missing. */
  context?: Record<string, File>;
  /** Flags of `docker build`, as `--name=value`. */
  flags?: string[];
  /** Images that are built first, by tag. */
  before?: Record<string, Pick<Case, "dockerfile" | "context" | "flags">>;
  /** Builds after the first, each of the case with some of it changed; compared by which steps were cached. */
  rebuilds?: Record<string, Change>;
  /** How the build is asked for: over the API with an archive of our own, or by the command line from a folder. */
  by?: "api" | "cli";
  /** What the golden file is written from. `buildkit`: only image and tree are compared. */
  reference?: "classic" | "buildkit";
  /** In place of a reference: what documentation asks for, in the form of a golden file; only what it names is compared. */
  expect?: Record<string, unknown>;
}

export interface Change {
  /** The time of these files is another. */
  touch?: string[];
  chmod?: Record<string, number>;
  /** These files are others, or new. */
  write?: Record<string, File>;
  remove?: string[];
  /** Texts of the Dockerfile that are replaced. */
  replace?: Record<string, string>;
  dockerfile?: string;
  /** In place of those of the case. */
  flags?: string[];
}

export interface Group {
  name: string;
  cases: Case[];
  goldenPath: string;
}

const folder = import.meta.dirname;

export function readGroups(): Group[] {
  const names = readdirSync(path.join(folder, "cases")).filter((name) => name.endsWith(".yaml"));
  const groups = names.sort().map((file): Group => {
    const name = path.basename(file, ".yaml");
    // The repository's own data; a case of another shape fails as soon as it is built.
    const cases = parse(readFileSync(path.join(folder, "cases", file), "utf8")) as Case[];
    return { name, cases, goldenPath: path.join(folder, "golden", `${name}.json`) };
  });
  const seen = new Set<string>();
  for (const { name } of groups.flatMap(({ cases }) => cases)) {
    if (seen.has(name)) throw new Error(`two cases are called ${name}`);
    seen.add(name);
  }
  return groups;
}

/** The case with a change made to it; one that changes nothing fails. */
export function changed(original: Case, change: Change): Case {
  const context = { ...original.context };
  const edit = (name: string, edited: object): void => {
    const file = context[name];
    if (file === undefined) throw new Error(`${original.name}: there is no ${name} to change`);
    context[name] = { ...(typeof file === "string" ? { content: file } : file), ...edited };
  };
  for (const name of change.touch ?? []) edit(name, { modified: 1_500_000_000 });
  for (const [name, mode] of Object.entries(change.chmod ?? {})) edit(name, { mode });
  Object.assign(context, change.write);
  for (const name of change.remove ?? []) delete context[name];
  let dockerfile = change.dockerfile ?? original.dockerfile ?? "";
  for (const [from, to] of Object.entries(change.replace ?? {})) {
    if (!dockerfile.includes(from)) throw new Error(`${original.name}: the Dockerfile has no "${from}"`);
    dockerfile = dockerfile.replaceAll(from, () => to);
  }
  return { ...original, context, dockerfile, ...(change.flags === undefined ? {} : { flags: change.flags }) };
}

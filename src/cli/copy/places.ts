import path from "node:path";

/**
 * Where a copy goes, from what the two places are, by Docker's rules, which are cp's with two differences: `folder/.` is what is in a folder,
 * and a slash at the end of a place that is not there is a mistake for a file. A path keeps what it had at its end (`/`, `/.`) all the way.
 */

/** One end of a copy. */
export type Place = {
  readonly path: string;
  readonly exists: boolean;
  readonly isFolder: boolean;
};

export type Source = Place & {
  /** What it is called in the archive, if that is not the last part of its path. */
  readonly calledAs?: string | undefined;
};

/** `CONTAINER:PATH`, or a path here: one that begins with a slash or a dot, or has no colon. */
export function splitArgument(argument: string): { readonly container: string; readonly path: string } {
  const colon = argument.indexOf(":");
  if (argument.startsWith("/") || argument.startsWith(".") || colon === -1) return { container: "", path: argument };
  return { container: argument.slice(0, colon), path: argument.slice(colon + 1) };
}

/** Absolute, with the end it was given. */
export function absolutePath(given: string): string {
  return withEndOf(path.resolve(given), given);
}

/** The folder to unpack in, and what the archive's one thing is to be called there; undefined: as it is. */
export function planCopy(source: Source, target: Place): { readonly folder: string; readonly newName?: string } {
  if (target.exists && target.isFolder) return { folder: target.path };
  if (target.exists && source.isFolder) throw new Error("cannot copy directory");
  if (!target.exists && !source.isFolder && isSaidToBeFolder(target.path)) throw new Error("no such directory");
  const { folder, name } = splitPath(target.path);
  return { folder, newName: name };
}

/** What an archive calls the thing at a path. */
export function nameOf(source: Source): string {
  return source.calledAs ?? splitPath(source.path).name;
}

/** `/a/b/` is b in /a, `/a/b/.` is `.` in /a/b. */
export function splitPath(given: string): { readonly folder: string; readonly name: string } {
  const clean = path.normalize(given).replace(/(.)\/$/, "$1");
  if (isDot(given) && clean !== ".") return { folder: clean, name: "." };
  return { folder: path.dirname(clean), name: path.basename(clean) || "/" };
}

/** A path whose symlinks were resolved, with the end of the one that was given; and the name that one had, if it is another now. */
export function keepName(given: string, resolved: string): { readonly path: string; readonly calledAs?: string } {
  const whole = withEndOf(resolved, given);
  const name = lastPart(given);
  return name === lastPart(whole) ? { path: whole } : { path: whole, calledAs: name };
}

function withEndOf(clean: string, given: string): string {
  if (isDot(given) && !isDot(clean)) return `${clean.replace(/\/$/, "")}/.`;
  return given.endsWith("/") && !clean.endsWith("/") ? `${clean}/` : clean;
}

function isSaidToBeFolder(given: string): boolean {
  return given.endsWith("/") || isDot(given);
}

function isDot(given: string): boolean {
  return lastPart(given) === ".";
}

function lastPart(given: string): string {
  return given === "" ? "." : path.basename(given) || "/";
}

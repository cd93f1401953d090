import { EngineError } from "../../base/errors.ts";

/** Names in archives, made harmless: which place in the layer an entry means. Binary strings (kernel/openat.ts). */
export interface EntryPath {
  /** Of the folder it is in; empty for the layer's root. */
  folder: string;
  /** Last part; empty when the entry is the root itself. */
  name: string;
}

/** So that the whole path, below any data root, stays within the kernel's 4,096. */
export const MAX_PATH_BYTES = 3800;

/**
 * Resolves a name by its letters, as Go's filepath.Clean does: `/x` and `./x` mean `x`, `a/../b` means `b`. One that leads out of the
 * layer is refused.
 */
export function parseEntryPath(name: string): EntryPath {
  const clean = isPlain(name) ? name : cleanPath(name);
  if (clean.length > MAX_PATH_BYTES) {
    throw new EngineError("invalid", `"${printable(name)}": the path is ${clean.length} bytes long (at most ${MAX_PATH_BYTES})`);
  }
  const slash = clean.lastIndexOf("/");
  return slash === -1 ? { folder: "", name: clean } : { folder: clean.slice(0, slash), name: clean.slice(slash + 1) };
}

/** An archive's name as people may see it: decoded, without control characters, cut. */
export function printable(name: string): string {
  const text = Buffer.from(name.slice(0, 1000), "latin1").toString("utf8");
  const visible = text.replaceAll(/\p{C}/gu, "?");
  return visible.length > 200 ? `${visible.slice(0, 200)}…` : visible;
}

/** Most names need nothing done. */
function isPlain(name: string): boolean {
  return name !== "" && !/^\/|\/$|\/\/|(?:^|\/)\.\.?(?:\/|$)/.test(name);
}

function cleanPath(name: string): string {
  const parts: string[] = [];
  for (const part of name.split("/")) {
    if (part === "" || part === ".") continue;
    if (part !== "..") parts.push(part);
    else if (parts.pop() === undefined && !name.startsWith("/")) {
      throw new EngineError("invalid", `"${printable(name)}" leads out of the layer`);
    }
  }
  return parts.join("/");
}

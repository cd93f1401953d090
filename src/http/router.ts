import { EngineError } from "../base/errors.ts";
import type { Route } from "./call.ts";

/**
 * Finds the route of a request. Docker's router (gorilla/mux) goes by the decoded path, so `a%2Fb` is `a/b`; a path that is not clean
 * (`//`, `.`, `..`) is redirected to its clean form; a wrong method is answered like an unknown path.
 */
export interface Router {
  find(method: string, path: string): { route: Route; name: string } | undefined;
}

export function makeRouter(routes: readonly Route[]): Router {
  const byMethodAndHead = new Map<string, { pattern: RegExp; route: Route }[]>();
  const keyOf = (method: string, path: string): string => `${method} ${path.split("/", 2)[1]}`;
  const anyHead = (method: string): string => `${method} *`;
  for (const route of routes) {
    const key = route.path.startsWith("/{") ? anyHead(route.method) : keyOf(route.method, route.path);
    const entries = byMethodAndHead.get(key) ?? [];
    entries.push({ pattern: patternOf(route.path), route });
    byMethodAndHead.set(key, entries);
  }
  return {
    find(method, path) {
      for (const { pattern, route } of byMethodAndHead.get(keyOf(method, path)) ?? byMethodAndHead.get(anyHead(method)) ?? []) {
        const match = pattern.exec(path);
        if (match !== null) return { route, name: match[1] ?? "" };
      }
      return undefined;
    },
  };
}

/** `/images/{name:.*}/json` as a pattern with one group. */
function patternOf(path: string): RegExp {
  const source = path
    .split(/(\{[^}]*\})/)
    .map((part) => {
      if (!part.startsWith("{")) return part.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`);
      return `(${part.includes(":") ? part.slice(part.indexOf(":") + 1, -1) : "[^/]+"})`;
    })
    .join("");
  return new RegExp(`^${source}$`, "s");
}

/** The parts of a request's target: `/v1.41/images/a%2Fb/json?x=1`. */
export interface Target {
  /** As it was written; undefined for the newest. */
  versionText: string | undefined;
  /** Decoded, without the version. */
  path: string;
  query: string;
  /** Where to go instead, when the path is not clean. */
  redirect: string | undefined;
}

export function parseTarget(url: string): Target {
  const [rawPath, query] = splitOnce(url.replace(/^http:\/\/[^/]*/i, ""), "?");
  const bad = /%(?![0-9a-fA-F]{2}).{0,2}/.exec(url);
  if (bad !== null) throw new EngineError("invalid", `invalid URL escape ${JSON.stringify(bad[0])}`);
  const decoded = decodePath(rawPath);
  const clean = cleanPath(decoded);
  const version = /^\/v([0-9.]+)(\/.*)$/s.exec(decoded);
  return {
    versionText: version?.[1],
    path: version?.[2] ?? decoded,
    query,
    redirect: clean === decoded ? undefined : `${encodeURI(clean)}${query === "" ? "" : `?${query}`}`,
  };
}

function decodePath(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    throw new EngineError("invalid", "the path of the request is not UTF-8");
  }
}

function splitOnce(text: string, separator: string): [string, string] {
  const at = text.indexOf(separator);
  return at < 0 ? [text, ""] : [text.slice(0, at), text.slice(at + separator.length)];
}

/** Go's path.Clean on an absolute path, which keeps a slash at the end. */
function cleanPath(path: string): string {
  if (!/\/\/|\/\.{1,2}(?:\/|$)/.test(path) && path.startsWith("/")) return path;
  const parts: string[] = [];
  for (const part of path.split("/")) {
    if (part === "..") parts.pop();
    else if (part !== "" && part !== ".") parts.push(part);
  }
  return `/${parts.join("/")}${parts.length > 0 && path.endsWith("/") ? "/" : ""}`;
}

import { parseJson } from "../api/json.ts";
import { EngineError } from "../base/errors.ts";
import type { PullRequest } from "../engine/images/images.ts";

type Platform = NonNullable<PullRequest["platform"]>;

const SYSTEMS = new Set([
  "linux",
  "windows",
  "darwin",
  "freebsd",
  "netbsd",
  "openbsd",
  "plan9",
  "solaris",
  "wasip1",
  "js",
  "android",
  "aix",
]);
const ARCHITECTURES = new Map([
  ["x86_64", "amd64"],
  ["x86-64", "amd64"],
  ["i386", "386"],
  ["i686", "386"],
  ["aarch64", "arm64"],
  ["armhf", "arm"],
  ["armel", "arm"],
]);

/** `linux/arm64/v8`, `linux/amd64`, `arm64`, or (API 1.48 and later) the OCI platform as JSON. Undefined for no text. */
export function parsePlatform(text: string | undefined, hostArchitecture: string): Platform | undefined {
  if (text === undefined) return undefined;
  if (text.startsWith("{")) return parseJsonPlatform(text);
  const parts = text.split("/");
  if (parts.length > 3 || !parts.every((part) => /^[A-Za-z0-9_.-]+$/.test(part)))
    throw new EngineError("invalid", `${JSON.stringify(text)} is an invalid platform: must be os[/architecture[/variant]]`);
  const [first = "", second, variant] = parts;
  if (second !== undefined) return makePlatform(first.toLowerCase(), second, variant);
  if (SYSTEMS.has(first.toLowerCase())) return makePlatform(first.toLowerCase(), hostArchitecture, undefined);
  return makePlatform("linux", first, undefined);
}

function makePlatform(os: string, architecture: string, variant: string | undefined): Platform {
  const lower = architecture.toLowerCase();
  const name = ARCHITECTURES.get(lower) ?? lower;
  return { os, architecture: name, ...(variant === undefined ? {} : { variant: variant.toLowerCase() }) };
}

function parseJsonPlatform(text: string): Platform {
  const parsed = parseJson(text);
  // What is no platform has none of the members, and is refused below.
  const { os, architecture, variant } = parsed as { os?: unknown; architecture?: unknown; variant?: unknown };
  if (typeof os !== "string" || typeof architecture !== "string" || os === "" || architecture === "")
    throw new EngineError("invalid", "failed to parse platform: both OS and Architecture must be provided");
  return { os, architecture, ...(typeof variant === "string" && variant !== "" ? { variant } : {}) };
}

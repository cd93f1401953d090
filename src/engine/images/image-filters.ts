import { EngineError } from "../../base/errors.ts";
import { nowNs, parseTimestamp } from "../../base/time.ts";
import type { ImageRecord } from "./image-store.ts";

/** Values of filters, read as Docker reads them. */

export const createdNsOf = (record: ImageRecord): bigint => parseTimestamp(record.config.created ?? "") ?? 0n;

/** `true`, `1`, `false` or `0`; undefined where it was not given. */
export function parseBooleanFilter(name: string, values: string[] | undefined): boolean | undefined {
  if (values === undefined || values.length === 0) return undefined;
  const wanted = new Set(values);
  if (wanted.size === 1 && (wanted.has("true") || wanted.has("1"))) return true;
  if (wanted.size === 1 && (wanted.has("false") || wanted.has("0"))) return false;
  throw new EngineError("invalid", `invalid filter '${name}=[${[...wanted].join(" ")}]'`);
}

const DURATION_UNITS_NS: Record<string, number> = { ns: 1, us: 1e3, µs: 1e3, ms: 1e6, s: 1e9, m: 60e9, h: 3600e9 };

/** A time, or a duration as Go writes it (`1h30m`), which counts back from now. */
export function parseUntil(value: string): bigint {
  const timestamp = parseTimestamp(value);
  if (timestamp !== undefined) return timestamp;
  const parts = [...value.matchAll(/(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)/g)];
  if (parts.length > 0 && parts.map(([text]) => text).join("") === value) {
    const durationNs = parts.reduce((sum, [, amount, unit = "s"]) => sum + Number(amount) * (DURATION_UNITS_NS[unit] ?? 0), 0);
    return nowNs() - BigInt(Math.round(durationNs));
  }
  const date = Date.parse(/^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d)?)?$/.test(value) ? value : "");
  if (Number.isNaN(date)) {
    throw new EngineError("invalid", `invalid value for 'until' filter: failed to parse value as time or duration: "${value}"`);
  }
  return BigInt(date) * 1_000_000n;
}

/** All of them, each `key` or `key=value`. */
export function hasLabels(record: ImageRecord, wanted: string[]): boolean {
  const labels = record.config.config?.Labels ?? {};
  return wanted.every((item) => {
    const equals = item.indexOf("=");
    const key = equals === -1 ? item : item.slice(0, equals);
    return Object.hasOwn(labels, key) && (equals === -1 || labels[key] === item.slice(equals + 1));
  });
}

/** Go's path.Match: `*` and `?` stop at a slash, `[a-z]` and `[^a]` are classes, a backslash takes the next character as it is. */
export function globToRegExp(pattern: string): RegExp {
  const tokens = pattern.match(/\\.|\[(?:\\.|[^\]\\])*\]|[^]/gsu) ?? [];
  const source = tokens.map((token) => {
    if (token === "*") return "[^/]*";
    if (token === "?") return "[^/]";
    if (token.startsWith("[") && token.length > 2) return token;
    if (token === "[" || token === "[]" || token === "\\")
      throw new EngineError("invalid", `invalid filter 'reference=${pattern}': syntax error in pattern`);
    return (token.startsWith("\\") ? token.slice(1) : token).replaceAll(/[\\^$.*+?()[\]{}|/]/g, "\\$&");
  });
  try {
    return new RegExp(`^${source.join("")}$`, "s");
  } catch (error) {
    throw new EngineError("invalid", `invalid filter 'reference=${pattern}': syntax error in pattern`, { cause: error });
  }
}

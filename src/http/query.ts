import { parseJson } from "../api/json.ts";
import { EngineError } from "../base/errors.ts";
import { nowNs, parseTimestamp } from "../base/time.ts";

/**
 * The query of a request, read as Docker reads it: a boolean is true unless it is "", 0, no, false or none; numbers are refused in words;
 * filters come in two JSON forms.
 */
export interface Query {
  /** The first value; undefined when absent or empty. */
  text(name: string): string | undefined;
  all(name: string): string[];
  flag(name: string, absent?: boolean): boolean;
  integer(name: string): number | undefined;
  filters(): Map<string, string[]>;
  /** Nanoseconds since 1970, from any of the forms of `parseTime`. */
  timeNs(name: string): bigint | undefined;
}

const FALSE_WORDS = new Set(["", "0", "no", "false", "none"]);

export function parseQuery(text: string): Query {
  const values = new URLSearchParams(text);
  const get = (name: string): string | undefined => values.get(name) || undefined;
  return {
    text: get,
    all: (name) => values.getAll(name),
    flag: (name, absent = false) => {
      const value = values.get(name);
      return value === null ? absent : !FALSE_WORDS.has(value.trim().toLowerCase());
    },
    integer(name) {
      const value = get(name);
      if (value === undefined) return undefined;
      if (!/^[+-]?\d+$/.test(value) || !Number.isSafeInteger(Number(value)))
        throw new EngineError("invalid", `invalid value for ${name}: ${JSON.stringify(value)} is not an integer`);
      return Number(value);
    },
    filters: () => parseFilters(values.get("filters") ?? ""),
    timeNs(name) {
      const value = get(name);
      if (value === undefined) return undefined;
      const ns = parseTime(value, nowNs());
      if (ns === undefined)
        throw new EngineError(
          "invalid",
          `invalid value for ${JSON.stringify(name)}: failed to parse value as time or duration: "${value}"`,
        );
      return ns;
    },
  };
}

/** `{"status":["exited"]}` (documented; docker-py, dockerode) and `{"status":{"exited":true}}` (the CLI and Go clients). */
export function parseFilters(text: string): Map<string, string[]> {
  const filters = new Map<string, string[]>();
  if (text === "") return filters;
  let parsed: unknown;
  try {
    parsed = parseJson(text);
  } catch {
    throw new EngineError("invalid", "invalid filter");
  }
  if (parsed === null) return filters;
  if (typeof parsed !== "object" || Array.isArray(parsed)) throw new EngineError("invalid", "invalid filter");
  for (const [key, values] of Object.entries(parsed)) filters.set(key, filterValues(values));
  return filters;
}

function filterValues(values: unknown): string[] {
  if (values === null) return [];
  if (Array.isArray(values) && values.every((value) => typeof value === "string")) return values;
  // A value that is false counts as well: Docker looks at the keys only.
  if (typeof values === "object" && !Array.isArray(values) && Object.values(values).every((value) => typeof value === "boolean"))
    return Object.keys(values);
  throw new EngineError("invalid", "invalid filter");
}

/**
 * A time as the API takes it: seconds since 1970 with a fraction, RFC 3339 (with or without time, zone and fraction; UTC without a zone),
 * or a Go duration (`10m`, `1h30m`) before `now`. Undefined: none of these.
 */
export function parseTime(text: string, now: bigint): bigint | undefined {
  return parseTimestamp(text) ?? parseDate(text) ?? durationBefore(text, now);
}

function parseDate(text: string): bigint | undefined {
  const match = /^(\d{4}-\d\d-\d\d)(?:[Tt](\d\d)(?::(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?)?)?([Zz]|[+-]\d\d:\d\d)?$/.exec(text);
  if (match === null) return undefined;
  const [, date, hour = "00", minute = "00", second = "00", fraction = "", zone = "Z"] = match;
  const ms = Date.parse(`${date}T${hour}:${minute}:${second}${zone.toUpperCase()}`);
  return Number.isNaN(ms) ? undefined : BigInt(ms) * 1_000_000n + BigInt(fraction.padEnd(9, "0"));
}

const UNIT_NS: Record<string, number> = { ns: 1, us: 1e3, µs: 1e3, ms: 1e6, s: 1e9, m: 60e9, h: 3600e9 };

function durationBefore(text: string, now: bigint): bigint | undefined {
  const match = /^([+-]?)((?:\d+(?:\.\d*)?(?:ns|us|µs|ms|s|m|h))+)$/.exec(text);
  if (match === null) return undefined;
  let sum = 0;
  for (const [, amount, unit] of (match[2] ?? "").matchAll(/(\d+(?:\.\d*)?)(ns|us|µs|ms|s|m|h)/g))
    sum += Number(amount) * (UNIT_NS[unit ?? ""] ?? 0);
  const duration = BigInt(Math.round(sum));
  return match[1] === "-" ? now + duration : now - duration;
}

/**
 * Times as Docker writes them: RFC 3339 in UTC with up to nine digits of a second (Go's RFC3339Nano, trailing zeros cut).
 */

/** Go's zero time: "never". */
export const ZERO_TIME = "0001-01-01T00:00:00Z";

/** How far the monotonic clock may stray from the wall clock before we follow a clock that was set, in milliseconds. */
const CLOCK_STEP_MS = 5;

let anchorMs = performance.timeOrigin;

/** Now, in nanoseconds since 1970: the wall clock, with the monotonic clock's microseconds between two of its milliseconds. */
export function nowNs(): bigint {
  const monotonicMs = performance.now();
  const wallMs = Date.now();
  if (Math.abs(wallMs - (anchorMs + monotonicMs)) > CLOCK_STEP_MS) anchorMs = wallMs - monotonicMs;
  return BigInt(Math.round((anchorMs + monotonicMs) * 1000)) * 1000n;
}

/** RFC3339Nano of a time in nanoseconds since 1970. */
export function formatTime(ns: bigint): string {
  const fraction = String(ns % 1_000_000_000n)
    .padStart(9, "0")
    .replace(/0+$/, "");
  const seconds = new Date(Number(ns / 1_000_000_000n) * 1000).toISOString().slice(0, 19);
  return fraction === "" ? `${seconds}Z` : `${seconds}.${fraction}Z`;
}

/** The same with fixed nine digits, as log timestamps have. */
export function formatLogTime(ns: bigint): string {
  const seconds = new Date(Number(ns / 1_000_000_000n) * 1000).toISOString().slice(0, 19);
  return `${seconds}.${String(ns % 1_000_000_000n).padStart(9, "0")}Z`;
}

/**
 * The time that a query means: Unix seconds with up to nine digits after the point (`1136073600.000000001`), as Docker's clients send it,
 * or RFC 3339. In nanoseconds since 1970; undefined when it is neither.
 */
export function parseTimestamp(text: string): bigint | undefined {
  const unix = /^([+-]?\d{1,18})(?:\.(\d*))?$/.exec(text);
  if (unix) return BigInt(unix[1] ?? "0") * NS_PER_SECOND + fractionNs(unix[2]);
  const rfc3339 = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d+))?(Z|[+-]\d\d:\d\d)$/i.exec(text);
  if (!rfc3339) return undefined;
  const wholeMs = Date.parse(`${rfc3339[1]}${rfc3339[3]}`.toUpperCase());
  return Number.isNaN(wholeMs) ? undefined : BigInt(wholeMs) * 1_000_000n + fractionNs(rfc3339[2]);
}

const NS_PER_SECOND = 1_000_000_000n;

/** Digits after the point as nanoseconds; what is smaller is cut off. */
function fractionNs(digits = ""): bigint {
  return BigInt(digits.slice(0, 9).padEnd(9, "0"));
}

/** A moment as the kernel takes it. Nanoseconds are 0–999,999,999, also before 1970. */
export interface FileTime {
  seconds: number;
  nanoseconds: number;
}

/** RFC3339Nano of it; of one beyond the years 1 to 9999, which JSON has no form for, the nearest. */
export function formatFileTime({ seconds, nanoseconds }: FileTime): string {
  const date = new Date(Math.min(Math.max(seconds, -62_135_596_800), 253_402_300_799) * 1000);
  const fraction = String(nanoseconds).padStart(9, "0").replace(/0+$/, "");
  return `${date.toISOString().slice(0, 19)}${fraction === "" ? "" : `.${fraction}`}Z`;
}

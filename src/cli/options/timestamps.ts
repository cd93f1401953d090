import { parseDurationNs } from "./values.ts";

/**
 * Times on the command line, as the engine takes them (`seconds.nanoseconds`): a duration means so long ago, a date without a zone is local,
 * and a number is seconds since 1970.
 */
export function parseTimestamp(text: string, what?: string): string | undefined {
  if (text === "") return undefined;
  const ago = durationNs(text);
  if (ago !== undefined) return seconds(BigInt(Date.now()) * 1_000_000n - BigInt(ago));
  const date = /^(\d{4}-\d\d-\d\d)(?:T(\d\d)(?::(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?)?)?(Z|[+-]\d\d:\d\d)?$/.exec(text);
  if (date !== null) {
    const [, day, hour = "00", minute = "00", second = "00", fraction = "", zone = ""] = date;
    const ms = Date.parse(`${day}T${hour}:${minute}:${second}${zone}`);
    if (!Number.isNaN(ms)) return seconds(BigInt(ms) * 1_000_000n + BigInt(fraction.padEnd(9, "0")));
  }
  if (/^-?\d+(\.\d*)?$/.test(text)) return text;
  const where = what === undefined ? "" : `invalid value for "${what}": `;
  throw new Error(`${where}failed to parse value as time or duration: ${JSON.stringify(text)}`);
}

/** A bare 0 is a time. */
function durationNs(text: string): number | undefined {
  try {
    return text === "0" ? undefined : parseDurationNs(text);
  } catch {
    return undefined;
  }
}

function seconds(ns: bigint): string {
  return `${ns / 1_000_000_000n}.${String(ns % 1_000_000_000n).padStart(9, "0")}`;
}

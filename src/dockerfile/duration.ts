/** Go's `time.ParseDuration`: `1h30m`, `1.5s`, `-2ms`, `0`. */

const NS_PER_UNIT: Record<string, number> = { ns: 1, us: 1e3, µs: 1e3, μs: 1e3, ms: 1e6, s: 1e9, m: 60e9, h: 3600e9 };
/** Go's durations are 64-bit integers. */
const LONGEST_NS = 2 ** 63;

/** In nanoseconds; throws a RangeError in Go's words. */
export function parseDuration(text: string): number {
  const invalid = (): never => {
    throw new RangeError(`time: invalid duration ${JSON.stringify(text)}`);
  };
  const unsigned = text.replace(/^[+-]/, "");
  if (unsigned === "0") return 0;
  if (unsigned === "") invalid();
  let durationNs = 0;
  let at = 0;
  while (at < unsigned.length) {
    const [, amount = "", unit = ""] = /^(\d+\.?\d*|\.\d+)?([^\d.]*)/.exec(unsigned.slice(at)) ?? [];
    if (amount === "") invalid();
    if (unit === "") throw new RangeError(`time: missing unit in duration ${JSON.stringify(text)}`);
    const nsPerUnit = Object.hasOwn(NS_PER_UNIT, unit) ? NS_PER_UNIT[unit] : undefined;
    if (nsPerUnit === undefined) throw new RangeError(`time: unknown unit ${JSON.stringify(unit)} in duration ${JSON.stringify(text)}`);
    durationNs += Number(amount) * nsPerUnit;
    if (durationNs >= LONGEST_NS) invalid();
    at += amount.length + unit.length;
  }
  return Math.trunc(durationNs) * (text.startsWith("-") ? -1 : 1);
}

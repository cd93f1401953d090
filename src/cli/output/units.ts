/** Sizes, durations and times in the words that Docker prints. */

const DECIMAL_UNITS = ["B", "kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB"];

const BINARY_UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB"];

/** `3.84GiB`: memory, in four significant digits. */
export function formatMemory(bytes: number): string {
  return scaled(bytes, 1024, BINARY_UNITS, 4);
}

/** `4.26MB`: decimal units, so many significant digits. */
export function formatSize(bytes: number, digits: number): string {
  return scaled(bytes, 1000, DECIMAL_UNITS, digits);
}

function scaled(bytes: number, base: number, units: readonly string[], digits: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= base && unit < units.length - 1) {
    value /= base;
    unit += 1;
  }
  return formatGeneral(value, digits) + (units[unit] ?? "");
}

/** Go's `%.Ng`: trailing zeros cut, an exponent when the number needs more digits than allowed. */
export function formatGeneral(value: number, digits: number): string {
  if (value === 0) return "0";
  const exponent = Number(value.toExponential(digits - 1).split("e")[1]);
  if (exponent < -4 || exponent >= digits) {
    const [mantissa = "", power = ""] = value.toExponential(digits - 1).split("e");
    return `${trimZeros(mantissa)}e${power.startsWith("-") ? "-" : "+"}${power.replace(/^[+-]/, "").padStart(2, "0")}`;
  }
  return trimZeros(value.toPrecision(digits));
}

function trimZeros(number: string): string {
  return number.includes(".") ? number.replace(/\.?0+$/, "") : number;
}

/** `About a minute`, `3 weeks`. */
export function formatAge(seconds: number): string {
  const whole = Math.trunc(seconds);
  const minutes = Math.trunc(seconds / 60);
  const hours = Math.trunc(seconds / 3600 + 0.5);
  if (whole < 1) return "Less than a second";
  if (whole === 1) return "1 second";
  if (whole < 60) return `${whole} seconds`;
  if (minutes === 1) return "About a minute";
  if (minutes < 60) return `${minutes} minutes`;
  if (hours === 1) return "About an hour";
  if (hours < 48) return `${hours} hours`;
  if (hours < 24 * 7 * 2) return `${Math.trunc(hours / 24)} days`;
  if (hours < 24 * 30 * 2) return `${Math.trunc(hours / 24 / 7)} weeks`;
  if (hours < 24 * 365 * 2) return `${Math.trunc(hours / 24 / 30)} months`;
  return `${Math.trunc(Math.trunc(seconds / 3600) / 24 / 365)} years`;
}

/** How long ago a time in seconds since 1970 was. */
export function formatAgo(unixSeconds: number): string {
  return `${formatAge(Date.now() / 1000 - unixSeconds)} ago`;
}

const two = (number: number): string => String(Math.trunc(number)).padStart(2, "0");

/** RFC 3339 in the local zone: `2026-01-31T08:05:09+01:00`. */
export function formatDate(unixSeconds: number, fraction = ""): string {
  const offset = -new Date(unixSeconds * 1000).getTimezoneOffset();
  const local = new Date((unixSeconds + offset * 60) * 1000).toISOString().slice(0, 19);
  const minutes = Math.abs(offset);
  return `${local}${fraction}${offset === 0 ? "Z" : `${offset < 0 ? "-" : "+"}${two(minutes / 60)}:${two(minutes % 60)}`}`;
}

/** The same from nanoseconds, all nine digits of them shown. */
export function formatNanoseconds(unixNs: bigint): string {
  const second = 1_000_000_000n;
  return formatDate(Number(unixNs / second), `.${String(unixNs % second).padStart(9, "0")}`);
}

/** Go's Time.String in the local zone: `2026-01-31 08:05:09 +0100 CET`. */
export function formatLocalTime(unixSeconds: number): string {
  const date = new Date(unixSeconds * 1000);
  const offset = -date.getTimezoneOffset();
  const sign = offset < 0 ? "-" : "+";
  const zone = `${sign}${two(Math.trunc(Math.abs(offset) / 60))}${two(Math.abs(offset) % 60)}`;
  const name =
    new Intl.DateTimeFormat("en-US", { timeZoneName: "short" }).formatToParts(date).find(({ type }) => type === "timeZoneName")?.value ??
    "";
  const day = `${String(date.getFullYear()).padStart(4, "0")}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  return `${day} ${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())} ${zone} ${zoneName(name, zone)}`;
}

/** Intl names few zones by letters (`CET` is `GMT+1` to it); Go then prints the offset once more. */
function zoneName(name: string, zone: string): string {
  if (/^[A-Z]{3,5}$/.test(name)) return name;
  return zone === "+0000" ? "UTC" : zone.replace(/00$/, "");
}

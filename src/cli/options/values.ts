import { isIP } from "node:net";

/** Small value grammars that several flags share: sizes, durations, numbers, comma-separated fields, addresses, key=value. */

/** `1.5g`, `200M`, `64kb`, `1 GiB`: bytes in binary units. */
export function parseSizeBytes(text: string): number {
  const match = /^(.*?[\d.])( ?)([^\d. ]*)$/s.exec(text);
  if (match === null) throw new Error(`invalid size: '${text}'`);
  const [, number = "", , unit = ""] = match;
  const size = Number(number);
  if (!/^[+-]?(\d+\.?\d*|\.\d+)$/.test(number)) throw new Error(`strconv.ParseFloat: parsing ${JSON.stringify(number)}: invalid syntax`);
  if (size < 0) throw new Error(`invalid size: '${text}'`);
  const suffix = unit.toLowerCase();
  if (!/^(b?|[kmgtp](i?b)?)$/.test(suffix)) throw new Error(`invalid suffix: '${unit.length > 3 ? unit : suffix}'`);
  const power = "kmgtp".indexOf(suffix.charAt(0)) + 1;
  return Math.trunc(size * 1024 ** (suffix === "" ? 0 : power));
}

const NANOSECONDS: Readonly<Record<string, number>> = { ns: 1, us: 1e3, µs: 1e3, μs: 1e3, ms: 1e6, s: 1e9, m: 60e9, h: 3600e9 };

/** Go's duration, `1h2m3.5s`, in nanoseconds. */
export function parseDurationNs(text: string): number {
  const bad = new Error(`time: invalid duration ${JSON.stringify(text)}`);
  const [, sign, rest = ""] = /^([+-]?)(.*)$/s.exec(text) ?? [];
  if (rest === "0") return 0;
  if (rest === "") throw bad;
  let total = 0;
  for (let left = rest; left !== "";) {
    const match = /^(\d+\.?\d*|\.\d+)([^\d.]*)/.exec(left);
    if (match === null) throw bad;
    const [whole, number = "", unit = ""] = match;
    if (unit === "") throw new Error(`time: missing unit in duration ${JSON.stringify(text)}`);
    const scale = NANOSECONDS[unit];
    if (scale === undefined) throw new Error(`time: unknown unit ${JSON.stringify(unit)} in duration ${JSON.stringify(text)}`);
    total += Math.round(Number(number) * scale);
    left = left.slice(whole.length);
  }
  return sign === "-" ? -total : total;
}

/** A whole number without sign of at most `bits` bits, as Go's strconv.ParseUint reads it. */
export function parseUnsigned(text: string, bits = 64): number {
  if (!/^\d+$/.test(text)) throw new Error(`strconv.ParseUint: parsing ${JSON.stringify(text)}: invalid syntax`);
  if (BigInt(text) >= 1n << BigInt(bits)) throw new Error(`strconv.ParseUint: parsing ${JSON.stringify(text)}: value out of range`);
  return Number(text);
}

/** One line of comma-separated fields, a field in double quotes where it holds a comma. */
export function parseCsv(text: string): string[] {
  if (text === "") throw new Error("EOF");
  const fields: string[] = [];
  for (let at = 0; ;) {
    if (text[at] === '"') {
      const match = /"((?:[^"]|"")*)"/y;
      match.lastIndex = at;
      const found = match.exec(text);
      const next = found === null ? undefined : text[match.lastIndex];
      if (found === null || (next !== undefined && next !== ","))
        throw new Error(`parse error on line 1, column ${text.length + 1}: extraneous or missing " in quoted-field`);
      fields.push((found[1] ?? "").replaceAll('""', '"'));
      at = match.lastIndex;
    } else {
      const end = text.indexOf(",", at);
      const field = end === -1 ? text.slice(at) : text.slice(at, end);
      const quote = field.indexOf('"');
      if (quote !== -1) throw new Error(`parse error on line 1, column ${at + quote + 1}: bare " in non-quoted-field`);
      fields.push(field);
      at += field.length;
    }
    if (at >= text.length) return fields;
    at += 1;
    if (at === text.length) return [...fields, ""];
  }
}

/** Splits at the first `separator`; the second part is undefined where there is none. */
export function cut(text: string, separator: string): readonly [string, string | undefined] {
  const at = text.indexOf(separator);
  return at === -1 ? [text, undefined] : [text.slice(0, at), text.slice(at + separator.length)];
}

/** `key=value` strings as an object; a missing value is empty. */
export function toMap(pairs: readonly string[]): Record<string, string> {
  return Object.fromEntries(pairs.map((pair) => [cut(pair, "=")[0], cut(pair, "=")[1] ?? ""]));
}

export function checkAddress(text: string): string {
  const address = text.trim();
  if (isIP(address) === 0) throw new Error(`IP address is not correctly formatted: ${text}`);
  return isIP(address) === 6 ? new URL(`http://[${address}]`).hostname.slice(1, -1) : address;
}

export function isMacAddress(text: string): boolean {
  return /^([0-9a-f]{2}([:-])[0-9a-f]{2}(\2[0-9a-f]{2}){4}((\2[0-9a-f]{2}){2}|(\2[0-9a-f]{2}){14})?|[0-9a-f]{4}\.[0-9a-f]{4}\.[0-9a-f]{4}(\.[0-9a-f]{4})?)$/i.test(
    text.trim(),
  );
}

/** `host:ip` or `host=ip`, the address in brackets or not; sent as `host:ip`. */
export function checkExtraHost(text: string): string {
  const [host, rest] = text.includes("=") ? cut(text, "=") : cut(text, ":");
  if (rest === undefined || host === "" || host.includes(":")) throw new Error(`bad format for add-host: ${JSON.stringify(text)}`);
  if (rest === "host-gateway") return `${host}:${rest}`;
  const address = /^\[(.+)\]$/.exec(rest)?.[1] ?? rest;
  if (isIP(address.trim()) === 0) throw new Error(`invalid IP address in add-host: ${JSON.stringify(address)}`);
  return `${host}:${address}`;
}

export function checkSearchDomain(text: string): string {
  const domain = text.replace(/^ +| +$/g, "");
  if (domain === ".") return domain;
  const match =
    /^(:?(:?[a-zA-Z0-9]|(:?[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9]))(:?\.(:?[a-zA-Z0-9]|(:?[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])))*)\.?\s*$/.exec(
      domain,
    );
  if (!/[a-zA-Z]/.test(domain) || match === null || (match[1] ?? "").length >= 255) throw new Error(`${domain} is not a valid domain`);
  return match[1] ?? domain;
}

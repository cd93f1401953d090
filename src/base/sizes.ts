/**
 * Sizes as people write them, in the two readings Docker has (docker/go-units): `10m` is 10 × 1024² for memory and 10 × 1000² for a log's
 * `max-size`.
 */

/** Memory: `512m`, `1.5g`, `64MiB`, `100`. Undefined when it is no size. */
export function parseMemorySize(text: string): number | undefined {
  return parseSize(text, 1024);
}

/** Files and other decimal amounts: `10m`, `1.5GB`. Undefined when it is no size. */
export function parseDecimalSize(text: string): number | undefined {
  return parseSize(text, 1000);
}

function parseSize(text: string, base: number): number | undefined {
  const match = /^(\d+(?:\.\d+)?) ?(?:([kmgtp])i?b?|b)?$/i.exec(text.trim());
  if (!match) return undefined;
  const exponent = match[2] === undefined ? 0 : "kmgtp".indexOf(match[2].toLowerCase()) + 1;
  return Math.trunc(Number(match[1]) * base ** exponent);
}

/** A registry's demand for authorization, from `WWW-Authenticate` (RFC 9110, 11.6.1). */
export interface Challenge {
  /** Lower case: `basic`, `bearer`. */
  scheme: string;
  /** Names in lower case. */
  parameters: Map<string, string>;
}

const TOKEN = "[!#$%&'*+.^_`|~0-9A-Za-z-]+";
const PARAMETER = new RegExp(`^(${TOKEN})\\s*=\\s*(?:(${TOKEN}[^\\s,]*)|"((?:[^"\\\\]|\\\\.)*)")`);
const SCHEME = new RegExp(`^(${TOKEN})(?=\\s|,|$)`);
const MAX_HEADER_LENGTH = 16_384;

/** All challenges of the header, in order. What cannot be read ends the list. */
export function parseChallenges(header: string): Challenge[] {
  const challenges: Challenge[] = [];
  let rest = header.slice(0, MAX_HEADER_LENGTH).trimStart();
  while (rest !== "") {
    const parameter = PARAMETER.exec(rest);
    const current = challenges.at(-1);
    if (parameter !== null && current !== undefined) {
      const [all, name = "", token, quoted] = parameter;
      const value = token ?? (quoted ?? "").replaceAll(/\\(.)/g, "$1");
      if (!current.parameters.has(name.toLowerCase())) current.parameters.set(name.toLowerCase(), value);
      rest = rest.slice(all.length);
    } else {
      const scheme = SCHEME.exec(rest);
      if (scheme === null) break;
      challenges.push({ scheme: (scheme[1] ?? "").toLowerCase(), parameters: new Map() });
      rest = rest.slice(scheme[0].length);
    }
    rest = rest.replace(/^[\s,]+/, "");
  }
  return challenges;
}

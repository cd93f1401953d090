/**
 * Detach keys: a sequence typed in a terminal that leaves a container running. `a`, `ctrl-p`, `ctrl-@`, joined by commas.
 */

export const DEFAULT_DETACH_KEYS = "ctrl-p,ctrl-q";

/** The bytes of a sequence. */
export function parseDetachKeys(text: string): number[] {
  return text.split(",").map((key) => {
    if (key.length === 1) return key.charCodeAt(0);
    const control = /^ctrl-([a-z@[\\\]^_])$/i.exec(key)?.[1]?.toLowerCase();
    if (control === undefined) throw new Error(`Unknown character: '${key}'`);
    return control === "@" ? 0 : control.charCodeAt(0) & 0x1f;
  });
}

/** Gives a function that takes what was typed and gives back what to pass on; undefined once the whole sequence has come. */
export function detachKeyFilter(keys: readonly number[]): (typed: Uint8Array) => Uint8Array | undefined {
  let matched = 0;
  return (typed) => {
    const out: number[] = [];
    for (const byte of typed) {
      if (byte === keys[matched]) {
        matched += 1;
        if (matched === keys.length) return undefined;
        continue;
      }
      out.push(...keys.slice(0, matched));
      matched = byte === keys[0] ? 1 : 0;
      if (matched === 0) out.push(byte);
    }
    return Uint8Array.from(out);
  };
}

/** Blanks as Go's `unicode.IsSpace` and `strings.TrimSpace` know them, which is not what JavaScript's `trim` and `\s` mean. */

const RARE_SPACE = /[\u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]/;

export function isSpace(character: string): boolean {
  const code = character.charCodeAt(0);
  return code < 0x80 ? code === 0x20 || (code >= 0x09 && code <= 0x0d) : RARE_SPACE.test(character);
}

/** The offset of the first character from `start` on that is no blank. */
export function skipSpaces(text: string, start: number): number {
  let at = start;
  while (at < text.length && isSpace(text.charAt(at))) at += 1;
  return at;
}

/** The offset behind the last character before `end` that is no blank. */
export function skipSpacesBack(text: string, end: number): number {
  let at = end;
  while (at > 0 && isSpace(text.charAt(at - 1))) at -= 1;
  return at;
}

export function trimSpace(text: string): string {
  const start = skipSpaces(text, 0);
  return text.slice(start, Math.max(start, skipSpacesBack(text, text.length)));
}

/** The blanks between two words of an instruction: `[\t\v\f\r ]`. */
export function isBlank(character: string): boolean {
  return character === " " || character === "\t" || character === "\v" || character === "\f" || character === "\r";
}

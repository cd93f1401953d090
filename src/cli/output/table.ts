/**
 * Columns as Go's text/tabwriter lays them out: a column is a run of lines that have a cell there which a tab ends, as wide as its widest
 * cell and the padding, but at least `minWidth`; the last cell of a line belongs to no column.
 */
export function layOut(text: string, minWidth: number, padding: number): string {
  const lines = text.split("\n").map((line) => line.split("\t"));
  const widths: number[][] = lines.map(() => []);
  const column = (from: number, to: number, at: number): void => {
    for (let line = from; line < to;) {
      if (at >= (lines[line]?.length ?? 0) - 1) {
        line += 1;
        continue;
      }
      let end = line;
      let width = minWidth;
      for (; end < to && at < (lines[end]?.length ?? 0) - 1; end += 1)
        width = Math.max(width, displayWidth(lines[end]?.[at] ?? "") + padding);
      for (let each = line; each < end; each += 1) (widths[each] ??= [])[at] = width;
      column(line, end, at + 1);
      line = end;
    }
  };
  column(0, lines.length, 0);
  return lines
    .map((cells, line) =>
      cells
        .map((cell, at) => (at === cells.length - 1 ? cell : cell + " ".repeat((widths[line]?.[at] ?? 0) - displayWidth(cell))))
        .join(""),
    )
    .join("\n");
}

/** Columns on a terminal that a text takes: East Asian wide characters take two. */
export function displayWidth(text: string): number {
  // Plain ASCII is nearly everything.
  if (/^[\x20-\x7e]*$/.test(text)) return text.length;
  let width = 0;
  for (const character of text) width += isWide(character.codePointAt(0) ?? 0) ? 2 : 1;
  return width;
}

function isWide(code: number): boolean {
  return (
    (code >= 0x1100 && code <= 0x115f) ||
    (code >= 0x2e80 && code <= 0x303e) ||
    (code >= 0x3041 && code <= 0xa4cf) ||
    (code >= 0xac00 && code <= 0xd7a3) ||
    (code >= 0xf900 && code <= 0xfaff) ||
    (code >= 0xfe30 && code <= 0xfe6f) ||
    (code >= 0xff00 && code <= 0xff60) ||
    (code >= 0xffe0 && code <= 0xffe6) ||
    (code >= 0x1f300 && code <= 0x1faff) ||
    (code >= 0x20000 && code <= 0x3fffd)
  );
}

/** Cuts a text to `width` columns, the last being `…`. */
export function ellipsis(text: string, width: number): string {
  if (displayWidth(text) <= width) return text;
  let out = "";
  for (const character of text) {
    if (displayWidth(out + character) > width - 1) break;
    out += character;
  }
  return `${out}…`;
}

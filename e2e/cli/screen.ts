/** What is on a terminal's screen after `written`: as much of its language as progress bars speak. */
export function screenOf(written: string): string {
  const lines: string[] = [""];
  let [row, column] = [0, 0];
  for (const [token] of written.matchAll(/\x1b\[(\d*)([A-Za-z])|\r|\n|[^\x1b\r\n]+/g)) {
    const [, count = "", command] = /^\x1b\[(\d*)([A-Za-z])$/.exec(token) ?? [];
    const steps = Number(count || 1);
    if (token === "\r") column = 0;
    else if (token === "\n") row += 1;
    else if (command === "A") row = Math.max(0, row - steps);
    else if (command === "B") row += steps;
    else if (command === "K") lines[row] = "";
    else if (command === "J") lines.splice(row, lines.length, "");
    else if (command === undefined) {
      const line = (lines[row] ?? "").padEnd(column);
      lines[row] = line.slice(0, column) + token + line.slice(column + token.length);
      column += token.length;
    }
    while (lines.length <= row) lines.push("");
  }
  return lines.map((line) => line.trimEnd()).join("\n");
}

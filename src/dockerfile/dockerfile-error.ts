/** The error that says where a Dockerfile is wrong, and the lines that people are shown of it. */
import { EngineError } from "../base/errors.ts";
import type { Range } from "./syntax.ts";

/** A Dockerfile that is wrong, or whose step cannot be done, and where. The message is Docker's. */
export class DockerfileError extends EngineError {
  readonly range: Range;
  readonly source: string;

  constructor(message: string, range: Range, source: string, options: { cause?: EngineError } = {}) {
    super(options.cause?.kind ?? "invalid", message, options);
    this.name = "DockerfileError";
    this.range = range;
    this.source = source;
  }

  /** The lines in question, numbered, with carets under the words. */
  excerpt(): string {
    return excerpt(this.source, this.range);
  }
}

/** Lines shown of a long range, and characters of a long line. */
const EXCERPT_LINES = 8;
const EXCERPT_COLUMNS = 160;

/** The lines of a range, numbered, with carets below where it lies within one line. */
export function excerpt(source: string, range: Range): string {
  const lines = source.split("\n").slice(range.start.line - 1, Math.min(range.end.line, range.start.line - 1 + EXCERPT_LINES));
  const width = String(range.start.line + lines.length - 1).length;
  const shown = lines.map((line, index) => `${String(range.start.line + index).padStart(width)} | ${printable(line)}`);
  if (range.start.line === range.end.line && range.start.column < EXCERPT_COLUMNS) {
    const line = lines[0] ?? "";
    const before = printable(line.slice(0, range.start.column));
    const under = printable(line.slice(range.start.column, range.end.column));
    const length = Math.max(1, Math.min(under.length, EXCERPT_COLUMNS - before.length));
    shown.push(`${" ".repeat(width)} | ${" ".repeat(before.length)}${"^".repeat(length)}`);
  }
  return shown.join("\n");
}

/** One character of the screen for each of the line, so that carets stand below what they mean. */
function printable(line: string): string {
  return line
    .slice(0, EXCERPT_COLUMNS)
    .replaceAll("\t", " ")
    .replace(/\r$/, "")
    .replace(/[\p{Cc}]/gu, "?");
}

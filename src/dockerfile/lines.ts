/**
 * Physical lines joined into logical ones, as Docker joins them: the continuation character goes, comment lines and (deprecated) blank lines
 * inside a continuation go, leading blanks of the lines that follow stay. Each logical line knows where its characters come from.
 */
import { skipSpaces, skipSpacesBack, trimSpace } from "./characters.ts";
import { DirectiveReader } from "./directives.ts";
import { DockerfileError } from "./dockerfile-error.ts";
import { type Directives, MAX_HEREDOC_BYTES, MAX_LINE_BYTES, type Position, type Range, type Warning } from "./syntax.ts";

/** A part of a logical line: where it begins in it, and in the file. */
interface Piece {
  offset: number;
  position: Position;
}

export class LogicalLine {
  text = "";
  readonly comments: string[];
  private readonly pieces: Piece[] = [];
  private lastLine = 0;

  constructor(comments: string[]) {
    this.comments = comments;
  }

  append(text: string, position: Position): void {
    this.pieces.push({ offset: this.text.length, position });
    this.text += text;
    this.lastLine = position.line;
  }

  /** The line of a heredoc's terminator belongs to the line that announced it. */
  extendTo(line: number): void {
    this.lastLine = line;
  }

  /** The line that Docker's messages name: the first, even if nothing but a continuation is on it. */
  get firstLine(): number {
    return this.pieces[0]?.position.line ?? 1;
  }

  positionOf(offset: number): Position {
    let low = 0;
    let high = this.pieces.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((this.pieces[middle]?.offset ?? 0) <= offset) low = middle;
      else high = middle - 1;
    }
    const piece = this.pieces[low];
    if (piece === undefined) return { line: 1, column: 0 };
    return { line: piece.position.line, column: piece.position.column + offset - piece.offset };
  }

  /** Where `text.slice(start, end)` stands in the file. */
  rangeOf(start: number, end: number): Range {
    if (end <= start) return { start: this.positionOf(start), end: this.positionOf(start) };
    const last = this.positionOf(end - 1);
    return { start: this.positionOf(start), end: { line: last.line, column: last.column + 1 } };
  }

  /** From the keyword to the last line, heredocs included. */
  range(): Range {
    const words = this.rangeOf(skipSpaces(this.text, 0), skipSpacesBack(this.text, this.text.length));
    return words.end.line >= this.lastLine ? words : { start: words.start, end: { line: this.lastLine, column: 0 } };
  }
}

export class LineReader {
  readonly source: string;
  readonly warnings: Warning[] = [];
  private readonly directiveReader = new DirectiveReader();
  private at = 0;
  private lineNumber = 0;
  private comments: string[] = [];

  constructor(source: string) {
    this.source = source;
  }

  get directives(): Directives {
    return this.directiveReader.directives;
  }

  /** The number of the last line that was read. */
  get line(): number {
    return this.lineNumber;
  }

  fail(message: string, range: Range): never {
    throw new DockerfileError(message, range, this.source);
  }

  /** The next line that is neither blank nor a comment, with those that continue it. */
  next(): LogicalLine | undefined {
    for (;;) {
      const physical = this.nextPhysical();
      if (physical === undefined) return undefined;
      const line = trimLineEnd(physical);
      const column = skipSpaces(line, 0);
      const text = line.slice(column);
      this.readDirective(text);
      if (text.startsWith("#")) continue;
      const logical = new LogicalLine(this.comments);
      this.comments = [];
      const first = this.cutContinuation(text);
      if (!first.continues && first.text === "") continue;
      logical.append(first.text, { line: this.lineNumber, column });
      if (first.continues) this.appendContinuations(logical);
      return logical;
    }
  }

  private appendContinuations(logical: LogicalLine): void {
    let hadBlank = false;
    for (;;) {
      const physical = this.nextPhysical();
      if (physical === undefined) break;
      const line = trimLineEnd(physical);
      const begin = skipSpaces(line, 0);
      if (line.charAt(begin) === "#") continue;
      if (begin === line.length) {
        hadBlank = true;
        continue;
      }
      const cut = this.cutContinuation(line);
      logical.append(cut.text, { line: this.lineNumber, column: 0 });
      if (!cut.continues) break;
    }
    if (hadBlank) this.warnings.push({ message: `Empty continuation line found in: ${logical.text}`, range: logical.range() });
  }

  /** The body up to the line that holds only `name`, which is read too; undefined when there is no such line. */
  heredocBody(name: string, chomp: boolean): string | undefined {
    const begin = this.at;
    const firstLine = this.lineNumber + 1;
    for (;;) {
      const end = this.at;
      const physical = this.nextPhysical();
      if (physical === undefined) return undefined;
      const line = trimLineEnd(physical);
      if ((chomp ? line.replace(/^\t+/, "") : line) === name) return this.source.slice(begin, end);
      if (end - begin > MAX_HEREDOC_BYTES)
        this.fail(`heredoc ${name} is larger than ${MAX_HEREDOC_BYTES} bytes: put it into a file and COPY it`, lineRange(firstLine));
    }
  }

  /** One line with its end. */
  private nextPhysical(): string | undefined {
    if (this.at >= this.source.length) return undefined;
    const newline = this.source.indexOf("\n", this.at);
    const end = newline === -1 ? this.source.length : newline + 1;
    const line = this.source.slice(this.at, end);
    this.at = end;
    this.lineNumber += 1;
    if (line.length > MAX_LINE_BYTES || (line.length > MAX_LINE_BYTES / 3 && Buffer.byteLength(line) > MAX_LINE_BYTES))
      this.fail(`dockerfile line greater than max allowed size of ${MAX_LINE_BYTES}`, lineRange(this.lineNumber));
    return line;
  }

  /** Keeps comments for the instruction below, and directives out of them. */
  private readDirective(text: string): void {
    const isDirective = this.directiveReader.read(text, (message) => this.fail(message, lineRange(this.lineNumber, text.length)));
    if (isDirective || !text.startsWith("#")) return;
    const comment = trimSpace(text.slice(1));
    if (comment === "") this.comments = [];
    else this.comments.push(comment);
  }

  /** A line continues when its last character but blanks is the escape character, and the one before is not. */
  private cutContinuation(line: string): { text: string; continues: boolean } {
    const escape = this.directives.escape;
    let end = line.length;
    while (end > 0 && (line.charAt(end - 1) === " " || line.charAt(end - 1) === "\t")) end -= 1;
    if (line.charAt(end - 1) !== escape || line.charAt(end - 2) === escape) return { text: line, continues: false };
    return { text: line.slice(0, end - 1), continues: true };
  }
}

function trimLineEnd(line: string): string {
  let end = line.length;
  while (end > 0 && (line.charAt(end - 1) === "\n" || line.charAt(end - 1) === "\r")) end -= 1;
  return line.slice(0, end);
}

export function lineRange(line: number, length = 0): Range {
  return { start: { line, column: 0 }, end: { line, column: length } };
}

/** Leading tabs of every line go, as `<<-` asks. */
export function chompHeredoc(content: string): string {
  return content.replace(/^\t+/gm, "");
}

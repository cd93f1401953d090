/**
 * A logical line split into keyword, flags and words, in the way that its keyword asks for. What the words mean, and whether the keyword
 * exists at all, is looked at when the whole file has been split: a wrong line further down is reported before an unknown keyword above it.
 */
import { isBlank, skipSpaces, skipSpacesBack } from "./characters.ts";
import { heredocWordsOf } from "./heredoc.ts";
import { type LineReader, type LogicalLine } from "./lines.ts";
import { type EscapeCharacter, type Heredoc, MAX_HEREDOCS_A_LINE, type Pair } from "./syntax.ts";
import { sliceWord, splitAtBlanks, splitQuoted, takeFlags, type Word } from "./words.ts";

export interface Statement {
  line: LogicalLine;
  /** The line's text from here on is the statement: behind `ONBUILD` for a trigger. */
  start: number;
  keyword: Word;
  flags: Word[];
  /** What stands behind the flags. */
  rest: Word;
  args: Word[];
  /** `args` come from a JSON array. */
  isJson: boolean;
  /** Of ENV and LABEL. */
  pairs: (Pair & { word: Word })[];
  /** Of ONBUILD. */
  trigger: Statement | undefined;
  heredocs: Heredoc[];
}

type Shape = "words" | "text" | "jsonOrText" | "jsonOrWords" | "pairs" | "quotedWords" | "typeAndCommand" | "statement";

const SHAPES = new Map<string, Shape>([
  ["add", "jsonOrWords"],
  ["arg", "quotedWords"],
  ["cmd", "jsonOrText"],
  ["copy", "jsonOrWords"],
  ["entrypoint", "jsonOrText"],
  ["env", "pairs"],
  ["expose", "words"],
  ["from", "words"],
  ["healthcheck", "typeAndCommand"],
  ["label", "pairs"],
  ["maintainer", "text"],
  ["onbuild", "statement"],
  ["run", "jsonOrText"],
  ["shell", "jsonOrText"],
  ["stopsignal", "text"],
  ["user", "text"],
  ["volume", "jsonOrWords"],
  ["workdir", "text"],
]);

export const KEYWORDS: readonly string[] = [...SHAPES.keys()];

/** The next statement of a file, its heredoc bodies included. */
export function readStatement(reader: LineReader): Statement | undefined {
  const line = reader.next();
  if (line === undefined) return undefined;
  const statement = splitStatement(line, 0, reader);
  readHeredocs(statement, reader);
  return statement;
}

function splitStatement(line: LogicalLine, from: number, reader: LineReader): Statement {
  const { escape } = reader.directives;
  const start = skipSpaces(line.text, from);
  const end = Math.max(start, skipSpacesBack(line.text, line.text.length));
  let keywordEnd = start;
  while (keywordEnd < end && !isBlank(line.text.charAt(keywordEnd))) keywordEnd += 1;
  const whole: Word = { text: line.text.slice(0, end), start: 0, end };
  const { flags, rest } = takeFlags(sliceWord(whole, keywordEnd, end), escape);
  const statement: Statement = {
    line,
    start: from,
    keyword: sliceWord(whole, start, keywordEnd),
    flags,
    rest,
    args: [],
    isJson: false,
    pairs: [],
    trigger: undefined,
    heredocs: [],
  };
  if (rest.text !== "") splitRest(statement, escape, reader);
  return statement;
}

function splitRest(statement: Statement, escape: EscapeCharacter, reader: LineReader): void {
  const { rest } = statement;
  switch (SHAPES.get(statement.keyword.text.toLowerCase())) {
    case "words":
      statement.args = splitAtBlanks(rest);
      break;
    case "text":
      statement.args = [rest];
      break;
    case "quotedWords":
      statement.args = splitQuoted(rest, escape);
      break;
    case "jsonOrText":
      statement.args = splitJson(statement, rest, reader) ?? [rest];
      break;
    case "jsonOrWords":
      statement.args = splitJson(statement, rest, reader) ?? splitAtBlanks(rest);
      break;
    case "typeAndCommand":
      splitHealthcheck(statement, reader);
      break;
    case "pairs":
      splitPairs(statement, escape, reader);
      break;
    case "statement":
      // One within a trigger is an error, however deep it goes: it is not looked into.
      if (statement.start === 0) statement.trigger = splitStatement(statement.line, rest.start, reader);
      break;
    case undefined:
  }
}

/** Undefined when it is no JSON array. One with anything but strings in it is an error. */
function splitJson(statement: Statement, part: Word, reader: LineReader): Word[] | undefined {
  if (!part.text.startsWith("[")) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(part.text);
  } catch {
    return undefined;
  }
  if (!Array.isArray(value)) return undefined;
  const words = value.filter((word) => typeof word === "string");
  if (words.length !== value.length)
    reader.fail("when using JSON array syntax, arrays must be comprised of strings only", statement.line.rangeOf(part.start, part.end));
  statement.isJson = true;
  return words.map((text) => ({ text, start: part.start, end: part.end }));
}

function splitHealthcheck(statement: Statement, reader: LineReader): void {
  const { rest } = statement;
  let end = 0;
  while (end < rest.text.length && skipSpaces(rest.text, end) === end) end += 1;
  statement.args = [sliceWord(rest, 0, end)];
  const command = sliceWord(rest, skipSpaces(rest.text, end), rest.text.length);
  if (command.text !== "") statement.args.push(...(splitJson(statement, command, reader) ?? [command]));
}

/** `name=value …`, or `name value` where the first word has no `=`. */
function splitPairs(statement: Statement, escape: EscapeCharacter, reader: LineReader): void {
  const { rest, line } = statement;
  const words = splitQuoted(rest, escape);
  const [first] = words;
  if (first === undefined) return;
  if (!first.text.includes("=")) {
    const [name = rest] = splitAtBlanks(rest);
    const begin = skipSpaces(line.text, name.end);
    if (begin >= rest.end)
      reader.fail(`${statement.keyword.text.toUpperCase()} must have two arguments`, line.rangeOf(rest.start, rest.end));
    const value = sliceWord(rest, begin - rest.start, rest.text.length);
    statement.pairs = [{ name: name.text, value: value.text, legacy: true, word: rest }];
    return;
  }
  for (const word of words) {
    const equals = word.text.indexOf("=");
    if (equals === -1)
      reader.fail(
        `Syntax error - can't find = in ${JSON.stringify(word.text)}. Must be of the form: name=value`,
        line.rangeOf(word.start, word.end),
      );
    statement.pairs.push({ name: word.text.slice(0, equals), value: word.text.slice(equals + 1), legacy: false, word });
  }
}

const WITH_HEREDOCS = new Set(["add", "copy", "run"]);

/** Bodies follow a RUN, COPY or ADD (also behind ONBUILD) that is not in JSON form, in the order of their names. */
function readHeredocs(statement: Statement, reader: LineReader): void {
  const holder = statement.trigger ?? statement;
  if (!WITH_HEREDOCS.has(holder.keyword.text.toLowerCase()) || holder.isJson) return;
  const words = heredocWordsOf(statement.line.text);
  if (words.length > MAX_HEREDOCS_A_LINE) reader.fail(`more than ${MAX_HEREDOCS_A_LINE} heredocs on one line`, statement.line.range());
  for (const word of words) {
    const content = reader.heredocBody(word.name, word.chomp);
    if (content === undefined) reader.fail("unterminated heredoc", statement.line.range());
    statement.line.extendTo(reader.line);
    holder.heredocs.push({ ...word, content });
  }
}

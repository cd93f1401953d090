/** A Dockerfile's text to stages and instructions. */
import { toInstruction } from "./instructions.ts";
import { LineReader, lineRange } from "./lines.ts";
import { readStatement, type Statement } from "./statement.ts";
import { DockerfileError } from "./dockerfile-error.ts";
import {
  type ArgInstruction,
  type Dockerfile,
  type FromInstruction,
  type Instruction,
  MAX_DOCKERFILE_BYTES,
  MAX_INSTRUCTIONS,
  type Stage,
} from "./syntax.ts";
import type { Word } from "./words.ts";

const BYTE_ORDER_MARK = "\ufeff";

/** Throws DockerfileError. `name` is what its message calls the file. */
export function parseDockerfile(text: string | Buffer, name = "Dockerfile"): Dockerfile {
  const source = decode(text, name);
  const reader = new LineReader(source);
  const statements = namedErrors(name, () => readStatements(reader));
  const globalArgs: ArgInstruction[] = [];
  const stages: Stage[] = [];
  for (const statement of statements) {
    const instruction = typed(statement, reader, `dockerfile parse error on line ${statement.line.firstLine}: `);
    const stage = stages.at(-1);
    if (instruction.kind === "from") {
      stages.push({ name: instruction.stageName?.toLowerCase(), index: stages.length, from: instruction, instructions: [] });
    } else if (stage !== undefined) {
      stage.instructions.push(instruction);
    } else if (instruction.kind === "arg") {
      globalArgs.push(instruction);
    } else {
      reader.fail("no build stage in current context", instruction.range);
    }
  }
  return { source, directives: reader.directives, globalArgs, stages, warnings: reader.warnings, instructionCount: statements.length };
}

/** One instruction by itself: a trigger of ONBUILD, a `--change`. Never FROM. Errors say what is wrong, and of no file and line. */
export function parseInstruction(text: string): Instruction {
  const reader: LineReader = new LineReader(text);
  const [statement, ...more] = readStatements(reader);
  if (statement === undefined || more.length > 0) reader.fail("onbuild trigger should be a single expression", lineRange(1));
  const instruction = typed(statement, reader, "");
  if (instruction.kind === "from") reader.fail("FROM is not allowed here", instruction.range);
  return instruction;
}

function decode(text: string | Buffer, name: string): string {
  const bytes = typeof text === "string" ? Buffer.byteLength(text) : text.length;
  if (bytes > MAX_DOCKERFILE_BYTES)
    throw new DockerfileError(
      `failed to parse ${name}: it has ${bytes} bytes, and at most ${MAX_DOCKERFILE_BYTES} are read`,
      lineRange(1),
      "",
    );
  const source = text.toString();
  return source.startsWith(BYTE_ORDER_MARK) ? source.slice(1) : source;
}

function namedErrors<Result>(name: string, read: () => Result): Result {
  try {
    return read();
  } catch (error) {
    if (error instanceof DockerfileError) throw new DockerfileError(`failed to parse ${name}: ${error.message}`, error.range, error.source);
    throw error;
  }
}

function readStatements(reader: LineReader): Statement[] {
  const statements: Statement[] = [];
  for (let statement = readStatement(reader); statement !== undefined; statement = readStatement(reader)) {
    statements.push(statement);
    if (statements.length > MAX_INSTRUCTIONS) reader.fail(`more than ${MAX_INSTRUCTIONS} instructions`, statement.line.range());
  }
  if (statements.length === 0) reader.fail("file with no instructions", lineRange(Math.max(1, reader.line)));
  return statements;
}

function typed(statement: Statement, reader: LineReader, prefix: string): Instruction | FromInstruction {
  const { line } = statement;
  return toInstruction(statement, (message: string, word?: Word) => {
    reader.fail(prefix + message, word === undefined ? line.range() : line.rangeOf(word.start, word.end));
  });
}

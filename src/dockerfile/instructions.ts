/** Statements to typed instructions: how many words each takes, which flags it knows, what is wrong with it, all in Docker's words. */
import { trimSpace } from "./characters.ts";
import { type Fail, parseFlags } from "./flags.ts";
import { parseHealthcheck } from "./healthcheck.ts";
import { parseHeredocWord } from "./heredoc.ts";
import { chompHeredoc } from "./lines.ts";
import { parseRun } from "./run.ts";
import { KEYWORDS, type Statement } from "./statement.ts";
import { suggestion } from "./suggest.ts";
import type {
  AddInstruction,
  ArgInstruction,
  Command,
  CopyInstruction,
  FromInstruction,
  Heredoc,
  Instruction,
  OnbuildInstruction,
  Pair,
} from "./syntax.ts";

type Base = Pick<Instruction, "range" | "original" | "keyword" | "comments">;

/** Throws by `fail`, with the word that is wrong where there is one. */
export function toInstruction(statement: Statement, fail: Fail): Instruction | FromInstruction {
  const base = baseOf(statement);
  const name = statement.keyword.text.toLowerCase();
  const noFlags = (): void => void parseFlags(statement.flags, {}, fail);
  switch (name) {
    case "add":
      return parseAdd(statement, base, fail);
    case "arg":
      return parseArg(statement, base, fail);
    case "cmd":
      noFlags();
      return { kind: "cmd", ...base, command: commandOf(statement) };
    case "entrypoint":
      noFlags();
      return { kind: "entrypoint", ...base, command: statement.args.length === 0 ? { form: "exec", words: [] } : commandOf(statement) };
    case "copy":
      return parseCopy(statement, base, fail);
    case "env":
    case "label":
      noFlags();
      return { kind: name, ...base, pairs: pairsOf(statement, fail) };
    case "expose":
      atLeastOne(statement, fail);
      noFlags();
      return { kind: "expose", ...base, ports: textsOf(statement).sort() };
    case "from":
      return parseFrom(statement, base, fail);
    case "healthcheck":
      atLeastOne(statement, fail);
      return { kind: "healthcheck", ...base, ...parseHealthcheck(statement, fail) };
    case "maintainer": {
      const words = exactlyOne(statement, fail);
      noFlags();
      return { kind: "maintainer", ...base, name: words };
    }
    case "onbuild":
      return parseOnbuild(statement, base, fail);
    case "run":
      return { kind: "run", ...base, ...parseRun(statement, fail), command: commandOf(statement), heredocs: statement.heredocs };
    case "shell":
      noFlags();
      return { kind: "shell", ...base, words: shellOf(statement, fail) };
    case "stopsignal":
      return { kind: "stopsignal", ...base, signal: exactlyOne(statement, fail) };
    case "user": {
      const user = exactlyOne(statement, fail);
      noFlags();
      return { kind: "user", ...base, user };
    }
    case "volume":
      return { kind: "volume", ...base, paths: volumesOf(statement, noFlags, fail) };
    case "workdir": {
      const path = exactlyOne(statement, fail);
      noFlags();
      return { kind: "workdir", ...base, path };
    }
    default:
      fail(
        `unknown instruction: ${statement.keyword.text}${suggestion(statement.keyword.text, KEYWORDS, { ignoreCase: true })}`,
        statement.keyword,
      );
  }
}

function baseOf(statement: Statement): Base {
  return {
    range: statement.line.range(),
    original: trimSpace(statement.line.text.slice(statement.start)),
    keyword: statement.keyword.text,
    comments: statement.line.comments,
  };
}

function nameOf(statement: Statement): string {
  return statement.keyword.text.toUpperCase();
}

function textsOf(statement: Statement): string[] {
  return statement.args.map(({ text }) => text);
}

function atLeastOne(statement: Statement, fail: Fail): void {
  if (statement.args.length === 0) fail(`${nameOf(statement)} requires at least one argument`);
}

function exactlyOne(statement: Statement, fail: Fail): string {
  const [word] = statement.args;
  if (word === undefined || statement.args.length > 1) fail(`${nameOf(statement)} requires exactly one argument`);
  return word.text;
}

function orUndefined(text: string | undefined): string | undefined {
  return text === "" ? undefined : text;
}

function commandOf(statement: Statement): Command {
  return statement.isJson ? { form: "exec", words: textsOf(statement) } : { form: "shell", text: statement.args[0]?.text ?? "" };
}

function pairsOf(statement: Statement, fail: Fail): Pair[] {
  if (statement.pairs.length === 0) fail(`${nameOf(statement)} requires at least one argument`);
  return statement.pairs.map(({ name, value, legacy, word }) => {
    if (name === "") fail(`${nameOf(statement)} names can not be blank`, word);
    return { name, value, legacy };
  });
}

function parseArg(statement: Statement, base: Base, fail: Fail): ArgInstruction {
  atLeastOne(statement, fail);
  const pairs = statement.args.map((word) => {
    const equals = word.text.indexOf("=");
    if (equals === 0) fail("ARG names can not be blank", word);
    if (equals === -1) return { name: word.text, value: undefined };
    return { name: word.text.slice(0, equals), value: word.text.slice(equals + 1) };
  });
  return { kind: "arg", ...base, pairs };
}

const STAGE_NAME = /^[a-z][a-z0-9\-_.]*$/;

function parseFrom(statement: Statement, base: Base, fail: Fail): FromInstruction {
  const [image, as, name] = statement.args;
  const isNamed = statement.args.length === 3 && as?.text.toLowerCase() === "as";
  if (image === undefined || (!isNamed && statement.args.length !== 1)) fail("FROM requires either one or three arguments");
  if (isNamed && !STAGE_NAME.test(name?.text.toLowerCase() ?? ""))
    fail(`invalid name for build stage: ${JSON.stringify(name?.text)}, name can't start with a number or contain symbols`, name);
  const { platform } = parseFlags(statement.flags, { platform: "text" }, fail);
  return { kind: "from", ...base, image: image.text, platform: orUndefined(platform), stageName: name?.text, as: as?.text };
}

const COPY_FLAGS = { chown: "text", chmod: "text", link: "boolean", exclude: "texts" } as const;

function parseCopy(statement: Statement, base: Base, fail: Fail): CopyInstruction {
  needDestination(statement, fail);
  const flags = parseFlags(statement.flags, { ...COPY_FLAGS, from: "text", parents: "boolean" }, fail);
  return {
    kind: "copy",
    ...base,
    ...sourcesOf(statement, fail),
    ...copyFlagsOf(flags),
    from: orUndefined(flags.from),
    parents: flags.parents ?? false,
  };
}

function parseAdd(statement: Statement, base: Base, fail: Fail): AddInstruction {
  needDestination(statement, fail);
  const known = { ...COPY_FLAGS, "keep-git-dir": "boolean", checksum: "text", unpack: "boolean" } as const;
  const flags = parseFlags(statement.flags, known, fail);
  return {
    kind: "add",
    ...base,
    ...sourcesOf(statement, fail),
    ...copyFlagsOf(flags),
    checksum: orUndefined(flags.checksum),
    keepGitDir: flags["keep-git-dir"],
    unpack: flags.unpack,
  };
}

function needDestination(statement: Statement, fail: Fail): void {
  if (statement.args.length >= 2) return;
  fail(`${nameOf(statement)} requires at least two arguments, but only one was provided. Destination could not be determined`);
}

function copyFlagsOf(flags: {
  chown: string | undefined;
  chmod: string | undefined;
  link: boolean | undefined;
  exclude: { text: string }[];
}) {
  return {
    chown: orUndefined(flags.chown),
    chmod: orUndefined(flags.chmod),
    link: flags.link ?? false,
    excludes: flags.exclude.map(({ text }) => text),
  };
}

function sourcesOf(statement: Statement, fail: Fail): { sources: string[]; heredocs: Heredoc[]; destination: string } {
  const words = [...statement.args];
  const destination = words.pop();
  if (destination === undefined || parseHeredocWord(destination.text) !== undefined)
    fail(`${nameOf(statement)} cannot accept a heredoc as a destination`, destination);
  const bodies = new Map(statement.heredocs.map((heredoc) => [heredoc.name, heredoc.content]));
  const sources: string[] = [];
  const heredocs: Heredoc[] = [];
  for (const { text } of words) {
    const heredoc = parseHeredocWord(text);
    if (heredoc === undefined) {
      sources.push(text);
      continue;
    }
    const content = bodies.get(heredoc.name) ?? "";
    heredocs.push({ ...heredoc, content: heredoc.chomp ? chompHeredoc(content) : content });
  }
  return { sources, heredocs, destination: destination.text };
}

function parseOnbuild(statement: Statement, base: Base, fail: Fail): OnbuildInstruction {
  const { trigger } = statement;
  if (trigger === undefined) fail("ONBUILD requires at least one argument");
  parseFlags(statement.flags, {}, fail);
  const name = trigger.keyword.text.toUpperCase();
  if (name === "ONBUILD") fail("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed", trigger.keyword);
  if (name === "MAINTAINER" || name === "FROM") fail(`${name} isn't allowed as an ONBUILD trigger`, trigger.keyword);
  const text = statement.line.text.slice(trigger.keyword.start);
  const bodies = trigger.heredocs.map((heredoc) => `\n${heredoc.content}${heredoc.name}`);
  return { kind: "onbuild", ...base, trigger: text + bodies.join(""), instruction: tryInstruction(trigger) };
}

class NoInstruction extends Error {}

/** What a trigger says is looked at when an image with it is built on: until then a wrong one is only kept. */
function tryInstruction(statement: Statement): Instruction | undefined {
  try {
    const instruction = toInstruction(statement, (message) => {
      throw new NoInstruction(message);
    });
    return instruction.kind === "from" ? undefined : instruction;
  } catch (error) {
    if (error instanceof NoInstruction) return undefined;
    throw error;
  }
}

function shellOf(statement: Statement, fail: Fail): string[] {
  atLeastOne(statement, fail);
  if (!statement.isJson) fail("SHELL requires the arguments to be in JSON form", statement.rest);
  return textsOf(statement);
}

function volumesOf(statement: Statement, noFlags: () => void, fail: Fail): string[] {
  atLeastOne(statement, fail);
  noFlags();
  return statement.args.map((word) => {
    const path = trimSpace(word.text);
    if (path === "") fail("VOLUME specified can not be an empty string", word);
    return path;
  });
}

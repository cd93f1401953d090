/** The flags of RUN. */
import { EngineError, messageOf } from "../base/errors.ts";
import { parseBoolean } from "../base/booleans.ts";
import { type Fail, parseFlags, splitFields } from "./flags.ts";
import { parseHeredocWord } from "./heredoc.ts";
import { chompHeredoc } from "./lines.ts";
import { mountFrom, parseMount } from "./mount.ts";
import type { Statement } from "./statement.ts";
import { suggestion } from "./suggest.ts";
import type { Command, MountFlag, RunInstruction } from "./syntax.ts";

const NETWORKS = ["default", "none", "host"] as const;
const SECURITIES = ["sandbox", "insecure"] as const;

export function parseRun(statement: Statement, fail: Fail): Pick<RunInstruction, "mounts" | "network" | "security" | "devices"> {
  const flags = parseFlags(statement.flags, { mount: "texts", network: "text", security: "text", device: "texts" }, fail);
  return {
    mounts: flags.mount.map(({ text, word }) =>
      inWord(
        () => mountFlag(text),
        (message) => fail(message, word),
      ),
    ),
    network:
      flags.network === undefined
        ? undefined
        : oneOf(NETWORKS, flags.network, `invalid network mode ${JSON.stringify(flags.network)}`, fail),
    security:
      flags.security === undefined
        ? undefined
        : oneOf(SECURITIES, flags.security, `security ${JSON.stringify(flags.security)} is not valid`, fail),
    devices: flags.device.map(({ text, word }) =>
      inWord(
        () => parseDevice(text),
        (message) => fail(message, word),
      ),
    ),
  };
}

/** What a RUN runs once its heredocs are in place. */
export type Script =
  /** Words as they are, or one text for the shell. */
  | Command
  /** A file to be put, executable and read-only, where the shell form names it. */
  | { form: "file"; path: string; content: string };

/** Where a heredoc with a `#!` is put for its step. */
const SCRIPT_FOLDER = "/dev/pipes/";

/**
 * A RUN that is nothing but `<<NAME` runs the body: through the shell, or as a program when it begins with `#!`. With anything else on the line the
 * bodies are given back to the shell, which has heredocs of its own.
 */
export function scriptOf({ command, heredocs }: Pick<RunInstruction, "command" | "heredocs">): Script {
  const [first] = heredocs;
  if (command.form === "exec" || first === undefined) return command;
  if (parseHeredocWord(command.text) === undefined) {
    const bodies = heredocs.map((heredoc) => `\n${heredoc.content}${heredoc.name}`);
    return { form: "shell", text: command.text + bodies.join("") };
  }
  const content = first.chomp ? chompHeredoc(first.content) : first.content;
  return content.startsWith("#!") ? { form: "file", path: SCRIPT_FOLDER + first.name, content } : { form: "shell", text: content };
}

function oneOf<Value extends string>(known: readonly Value[], value: string, message: string, fail: Fail): Value {
  return known.find((candidate) => candidate === value) ?? fail(message);
}

/** What a flag's own grammar finds wrong is wrong at the flag. */
function inWord<Result>(parse: () => Result, fail: (message: string) => never): Result {
  try {
    return parse();
  } catch (error) {
    if (error instanceof EngineError || error instanceof RangeError) fail(messageOf(error));
    throw error;
  }
}

function mountFlag(text: string): MountFlag {
  const flag = { text, from: mountFrom(text) };
  // Without variables all of it can be told now, where the line is at hand.
  if (!text.includes("$")) parseMount(flag, (word) => word);
  return flag;
}

function parseDevice(text: string): { name: string; required: boolean } {
  const device = { name: "", required: false };
  for (const field of splitFields(text)) {
    const equals = field.indexOf("=");
    const key = (equals === -1 ? field : field.slice(0, equals)).toLowerCase();
    const value = equals === -1 ? undefined : field.slice(equals + 1);
    if (key === "required") {
      const required = parseBoolean(value ?? "true");
      if (required === undefined) throw new RangeError(`invalid value for ${key}: ${value ?? ""}`);
      device.required = required;
    } else if (key === "name" && value !== undefined) {
      if (device.name !== "") throw new RangeError(`device name already set to ${device.name}`);
      device.name = value;
    } else if (device.name === "") {
      device.name = field;
    } else if (value === undefined) {
      throw new RangeError(`invalid field '${field}' must be a key=value pair`);
    } else {
      throw new RangeError(`unexpected key '${key}' in '${field}'${suggestion(key, ["name", "required"])}`);
    }
  }
  return device;
}

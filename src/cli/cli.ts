import { ArgumentError, parseArguments, type Flags } from "./arguments.ts";
import { PROGRAM, type Command } from "./command.ts";
import { findCommand, groups } from "./commands.ts";
import { openClient, compareVersions, type Client } from "./engine/client.ts";
import { readConfigFile } from "./engine/config-file.ts";
import { findHost } from "./engine/host.ts";
import { CommandFailure, DaemonError } from "./failure.ts";
import { globalFlags } from "./global-flags.ts";
import { isTerminal, printLine, warn } from "./output/print.ts";
import { BUILD, VERSION } from "./version.ts";

/**
 * `tsubo`: the words and flags of `docker`, on any engine that speaks Docker's Engine API.
 *
 * A call is a straight line: the global flags, the command's place in the table (`commands.ts`), its file, its flags (`arguments.ts` has the
 * grammar), then the command's `run`, which talks to the engine (`engine/`), reads its own kinds of values (`options/`) and prints
 * (`output/`, with Go templates from `templates/`). Nothing is loaded but what the one command needs, because every millisecond of start-up
 * is felt.
 *
 * Exit statuses are Docker's: 125 for a command line that cannot be parsed and for errors of the engine in `run`, 126 and 127 for a program
 * that cannot be run, the container's own where there is one, else 1.
 */
export async function main(input: readonly string[]): Promise<void> {
  // Nothing left to wait for and yet no end: a connection went away unnoticed. That must not look like success.
  process.once("beforeExit", () => report(new Error("the engine ended the connection before the command was done")));
  try {
    process.exit((await execute(input)) ?? 0);
  } catch (error) {
    report(error);
  }
}

const USAGE_FAILURE = 125;
/** `-D`. */
let debug = false;

function report(error: unknown): never {
  const message = error instanceof Error ? error.message : String(error);
  if (message !== "") warn(message);
  // Scripts get the same words as from docker.
  const excerpt = error instanceof CommandFailure || error instanceof DaemonError ? error.excerpt : undefined;
  if (excerpt !== undefined && isTerminal(2)) warn(`\n${excerpt}`);
  // A TypeError is a slip of ours: where it happened is what is asked for in a report.
  if (error instanceof Error && !(error instanceof CommandFailure) && (debug || error instanceof TypeError)) warn(error.stack ?? "");
  process.exit(error instanceof CommandFailure ? error.exitCode : 1);
}

async function execute(input: readonly string[]): Promise<number | undefined | void> {
  const globals = parseGlobals(input);
  debug = globals.flags.boolean("debug");
  const words = globals.positional;
  if (globals.flags.boolean("version")) {
    printLine(`Tsubo version ${VERSION}, build ${BUILD}`);
    return 0;
  }
  if (words[0] === "help") return showHelp(words.slice(1));
  if (words[0] === undefined || globals.help) return showHelp(words.slice(0, 2));
  const found = findCommand(words);
  if (found === undefined) {
    const [word, second, ...more] = words;
    if (more.length === 0 && (second === undefined || second === "--help" || second === "-h") && groups.some(({ name }) => name === word))
      return showHelp([word ?? ""]);
    const { unknownCommand } = await import("./unknown-command.ts");
    throw unknownCommand(words, hostOf(globals.flags).url);
  }

  const { command } = await found.entry.load();
  const parsed = parseFor(found.path, command, words.slice(found.rest));
  for (const warning of parsed.warnings) warn(warning);
  if (parsed.help) {
    const { commandHelp } = await import("./help.ts");
    printLine(commandHelp(found.path, found.entry, command));
    return 0;
  }
  await checkCount(found.path, command, parsed.positional.length);
  const config = readConfigFile(globals.flags.text("config"), warn);
  const client = openLazily(() => openClient(hostOf(globals.flags), config.httpHeaders));
  await checkVersions(command, parsed.flags, client);
  return command.run({ flags: parsed.flags, args: parsed.positional, path: found.path, debug, config, client });
}

function parseGlobals(input: readonly string[]): ReturnType<typeof parseArguments> {
  try {
    return parseArguments(globalFlags, input, false);
  } catch (error) {
    if (!(error instanceof ArgumentError)) throw error;
    throw new CommandFailure(
      `${error.message}\n\nUsage:  ${PROGRAM} [OPTIONS] COMMAND [ARG...]\n\nRun '${PROGRAM} --help' for more information`,
      USAGE_FAILURE,
    );
  }
}

function parseFor(path: string, command: Command, input: readonly string[]): ReturnType<typeof parseArguments> {
  try {
    return parseArguments(command.flags, input, command.flagsFirst !== true);
  } catch (error) {
    if (!(error instanceof ArgumentError)) throw error;
    throw new CommandFailure(
      `${error.message}\n\nUsage:  ${usage(path, command)}\n\nRun '${PROGRAM} ${path} --help' for more information`,
      USAGE_FAILURE,
    );
  }
}

function usage(path: string, command: Command): string {
  return `${PROGRAM} ${path}${command.usage === "" ? "" : ` ${command.usage}`}`;
}

async function checkCount(path: string, command: Command, count: number): Promise<void> {
  const { min, max = Number.POSITIVE_INFINITY } = command.arguments;
  if (count >= min && count <= max) return;
  const plural = (number: number): string => (number === 1 ? "argument" : "arguments");
  const what =
    max === 0
      ? "accepts no arguments"
      : min === max
        ? `requires ${min} ${plural(min)}`
        : max === Number.POSITIVE_INFINITY
          ? `requires at least ${min} ${plural(min)}`
          : min === 0
            ? `requires at most ${max} ${plural(max)}`
            : `requires at least ${min} and at most ${max} ${plural(max)}`;
  const see = max === Number.POSITIVE_INFINITY ? "See" : "Run";
  throw new CommandFailure(
    `${PROGRAM}: '${PROGRAM} ${path}' ${what}\n\nUsage:  ${usage(path, command)}\n\n${see} '${PROGRAM} ${path} --help' for more information`,
  );
}

/** A flag that the engine is too old for is refused before anything is done. */
async function checkVersions(command: Command, flags: Flags, client: Client): Promise<void> {
  const given = command.flags.filter(({ name, since, sameAs }) => since !== undefined && flags.changed(sameAs ?? name));
  if (given.length === 0) return;
  const version = await client.version();
  const tooNew = given.filter(({ since }) => compareVersions(version, since ?? "") < 0);
  if (tooNew.length === 0) return;
  throw new CommandFailure(
    tooNew
      .map(({ name, since }) => `"--${name}" requires API version ${since}, but the Docker daemon API version is ${version}`)
      .join("\n"),
  );
}

function hostOf(flags: Flags): ReturnType<typeof findHost> {
  const context = flags.text("context");
  if (context !== "" && context !== "default")
    throw new CommandFailure(`there are no contexts here but "default": name the engine with -H (got --context ${context})`);
  const verify = flags.boolean("tlsverify") || (!flags.changed("tlsverify") && (process.env["DOCKER_TLS_VERIFY"] ?? "") !== "");
  return findHost(flags.list("host"), {
    tls: flags.boolean("tls") || (process.env["DOCKER_TLS"] ?? "") !== "",
    verify,
    ca: flags.text("tlscacert"),
    cert: flags.text("tlscert"),
    key: flags.text("tlskey"),
  });
}

/** The client is opened by the first use: help and wrong command lines need none. */
function openLazily(open: () => Client): Client {
  let client: Client | undefined;
  const use = (): Client => (client ??= open());
  return {
    get host() {
      return use().host;
    },
    version: () => use().version(),
    isTsubo: () => use().isTsubo(),
    request: (...all) => use().request(...all),
    answer: (...all) => use().answer(...all),
    text: (...all) => use().text(...all),
    json: (...all) => use().json(...all),
    hijack: (...all) => use().hijack(...all),
  };
}

async function showHelp(words: readonly string[]): Promise<number> {
  const { commandHelp, groupHelp, programHelp } = await import("./help.ts");
  const found = findCommand(words);
  const [word] = words;
  if (word === undefined) printLine(programHelp());
  else if (found !== undefined && found.rest === words.length)
    printLine(commandHelp(found.path, found.entry, (await found.entry.load()).command));
  else if (words.length === 1 && groups.some(({ name }) => name === word)) printLine(groupHelp(word));
  else {
    const known = found?.rest ?? (groups.some(({ name }) => name === word) ? 1 : 0);
    throw new CommandFailure(`unknown help topic: ${words.slice(known).join(" ")}`);
  }
  return 0;
}

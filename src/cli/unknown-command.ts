import { PROGRAM } from "./command.ts";
import { groups, placesIn } from "./commands.ts";
import { CommandFailure } from "./failure.ts";
import { firstWords, nearest } from "./help.ts";

/** Commands of `docker` that are not here yet. A command that comes leaves this list: a test sees to it. */
export const notYet: ReadonlySet<string> = new Set([
  ..."buildx compose config context manifest node plugin secret".split(" "),
  ..."service stack stats swarm trust update".split(" "),
  ..."stats update".split(" ").map((name) => `container ${name}`),
  "volume update",
]);

/** The exit status for a flag that there is not. */
const USAGE_FAILURE = 125;

/** Why `words` are no command, and what to try instead. `engine` is the address of the engine that they were meant for. */
export function unknownCommand([word = "", second = ""]: readonly string[], engine: string): CommandFailure {
  const group = groups.some(({ name }) => name === word) ? word : undefined;
  const usage = group === undefined ? "" : `\n\nUsage:  ${PROGRAM} ${group}`;
  const help = `\n\nRun '${PROGRAM} ${group === undefined ? "" : `${group} `}--help' for more information`;
  if (group !== undefined && second.startsWith("-")) return new CommandFailure(`unknown flag: ${second}${usage}${help}`, USAGE_FAILURE);
  const path = group === undefined ? word : `${group} ${second}`;
  return new CommandFailure(`${PROGRAM}: unknown command: ${PROGRAM} ${path}${hint(path, group, engine)}${usage}${help}`);
}

function hint(path: string, group: string | undefined, engine: string): string {
  if (notYet.has(path)) return `\n\nIt is not here yet. The stock client does it on the same engine: docker -H ${engine} ${path}`;
  const known = group === undefined ? firstWords() : placesIn(group).map(({ name }) => `${group} ${name}`);
  const near = nearest(path, known).map((each) => `'${PROGRAM} ${each}'`);
  return near.length === 0 ? "" : `\n\nDid you mean ${near.join(" or ")}?`;
}

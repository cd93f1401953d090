import type { Flag } from "./arguments.ts";
import { PROGRAM, type Command } from "./command.ts";
import { commands, groups, placesIn, type CommandEntry } from "./commands.ts";
import { globalFlags } from "./global-flags.ts";
import { isTerminal } from "./output/print.ts";

/** What `--help` prints, from the table of commands and each command's own flags. */

const DEFAULT_COLUMNS = 80;
const MAX_COLUMNS = 120;

/** The program's own overview. */
export function programHelp(): string {
  const all = placesIn("");
  const common = all.filter(({ entry }) => entry.common);
  const others = all.filter(({ entry }) => !entry.common).sort((a, b) => (a.name < b.name ? -1 : 1));
  return [
    `Usage:  ${PROGRAM} [OPTIONS] COMMAND`,
    "",
    "Runs containers: the words of docker, on our engine or any other.",
    "",
    heading("Common Commands:"),
    ...twoColumns(common.map(({ name, entry }) => [name, entry.summary])),
    "",
    heading("Management Commands:"),
    ...twoColumns(groups.map(({ name, summary }) => [name, summary])),
    "",
    heading("Commands:"),
    ...twoColumns(others.map(({ name, entry }) => [name, entry.summary])),
    "",
    heading("Global Options:"),
    ...flagLines(globalFlags),
    "",
    `Run '${PROGRAM} COMMAND --help' for more information on a command.`,
    "",
    `To begin: ${PROGRAM} run --rm -it busybox sh`,
  ].join("\n");
}

/** The overview of a management group. */
export function groupHelp(group: string): string {
  const summary = groups.find(({ name }) => name === group)?.summary ?? "";
  return [
    `Usage:  ${PROGRAM} ${group} COMMAND`,
    "",
    summary,
    "",
    heading("Commands:"),
    ...twoColumns(
      placesIn(group)
        .map(({ name, entry }) => [name, entry.summary] as const)
        .sort(([a], [b]) => (a < b ? -1 : 1)),
    ),
    "",
    `Run '${PROGRAM} ${group} COMMAND --help' for more information on a command.`,
  ].join("\n");
}

/** One command's help. */
export function commandHelp(path: string, entry: CommandEntry, command: Command): string {
  const visible = command.flags.filter(({ hidden, deprecated }) => !hidden && deprecated === undefined);
  const leftWidth = Math.max(0, ...visible.map((flag) => nameAndValue(flag).length));
  return [
    `Usage:  ${usageLine(path, command)}`,
    "",
    entry.summary,
    ...(command.about === undefined ? [] : ["", ...wrap(command.about, columns())]),
    ...(entry.places.length > 1 ? ["", heading("Aliases:"), `  ${entry.places.map((place) => `${PROGRAM} ${place}`).join(", ")}`] : []),
    ...(command.examples === undefined
      ? []
      : ["", heading("Examples:"), ...command.examples.flatMap(([line, purpose]) => [`  # ${purpose}`, `  ${PROGRAM} ${line}`])]),
    ...[...Map.groupBy(visible, ({ section }) => section ?? "Options")].flatMap(([title, flags]) => [
      "",
      heading(`${title}:`),
      ...flagLines(flags, leftWidth),
    ]),
  ].join("\n");
}

export function usageLine(path: string, command: Command): string {
  return `${PROGRAM} ${path}${command.usage === "" ? "" : ` ${command.usage}`}`;
}

/** The known words nearest to `word`, for "did you mean": at most two letters off, or those that begin with it. */
export function nearest(word: string, known: readonly string[]): string[] {
  const limit = word.length <= 3 ? 1 : 2;
  const scored = known
    .map((each) => ({ each, distance: each.startsWith(word) ? 0 : editDistance(word, each) }))
    .filter(({ distance }) => distance <= limit);
  const best = Math.min(...scored.map(({ distance }) => distance));
  return scored
    .filter(({ distance }) => distance === best)
    .map(({ each }) => each)
    .slice(0, 3);
}

/** All first words. */
export function firstWords(): string[] {
  return [
    ...new Set([
      ...commands.flatMap(({ places }) => places.map((place) => place.split(" ")[0] ?? "")),
      ...groups.map(({ name }) => name),
      "help",
    ]),
  ];
}

/** Insertions, deletions, replacements and swaps of neighbours between two words. */
function editDistance(a: string, b: string): number {
  const rows = [Array.from({ length: b.length + 1 }, (_, index) => index)];
  for (let i = 1; i <= a.length; i += 1) {
    const [before, row] = [rows[i - 1] ?? [], [i]];
    for (let j = 1; j <= b.length; j += 1) {
      const isSwap = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      const swapped = isSwap ? (rows[i - 2]?.[j - 2] ?? 0) + 1 : Number.POSITIVE_INFINITY;
      row.push(Math.min((before[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1, (before[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1), swapped));
    }
    rows.push(row);
  }
  return rows[a.length]?.[b.length] ?? 0;
}

function nameAndValue({ name, short, kind, value }: Flag): string {
  return `${short === undefined ? "    " : `-${short}, `}--${name}${kind === "boolean" ? "" : ` ${value ?? kind}`}`;
}

function flagLines(flags: readonly Flag[], leftWidth = 0): string[] {
  const sorted = flags.filter(({ hidden }) => !hidden).toSorted((a, b) => (a.name < b.name ? -1 : 1));
  return twoColumns(
    sorted.map((flag) => {
      const { kind, initial, usage } = flag;
      const left = nameAndValue(flag);
      const isSpecial = initial !== undefined && !(kind === "boolean" && initial === "false");
      return [left, isSpecial ? `${usage} (default ${kind === "text" ? JSON.stringify(initial) : initial})` : usage] as const;
    }),
    leftWidth,
  );
}

function twoColumns(rows: readonly (readonly [string, string])[], leftWidth = 0): string[] {
  const width = Math.max(leftWidth, ...rows.map(([left]) => left.length)) + 5;
  return rows.flatMap(([left, right]) => {
    const [head = "", ...rest] = wrap(right, Math.max(24, columns() - width));
    return [`  ${left}`.padEnd(width) + head, ...rest.map((line) => " ".repeat(width) + line)];
  });
}

function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  for (const word of text.split(" ")) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + 1 + word.length <= width) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines;
}

function columns(): number {
  return isTerminal(1) ? Math.min(MAX_COLUMNS, process.stdout.columns - 1) : DEFAULT_COLUMNS;
}

function heading(text: string): string {
  return isTerminal(1) && process.env["NO_COLOR"] === undefined ? `\x1b[1m${text}\x1b[0m` : text;
}

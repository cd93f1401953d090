import { expect, test } from "vitest";

import { parseArguments } from "./arguments.ts";
import { commands, findCommand, groups, type CommandEntry } from "./commands.ts";
import { globalFlags } from "./global-flags.ts";
import { notYet, unknownCommand } from "./unknown-command.ts";
import { commandHelp, groupHelp, programHelp } from "./help.ts";

/** Every command, with its file loaded. */
const all = await Promise.all(
  commands.map(async (entry) => ({ entry, name: entry.places[0] ?? "", command: (await entry.load()).command })),
);

test("no two commands stand at the same place, and every group is announced", () => {
  const places = commands.flatMap((entry) => entry.places);
  expect(places.toSorted()).toEqual([...new Set(places)].sort());
  const used = new Set(places.filter((place) => place.includes(" ")).map((place) => place.split(" ")[0]));
  expect(used).toEqual(new Set(groups.map(({ name }) => name)));
});

test.each(all)("$name: its flags have names of their own, and the help says what each does", ({ name, entry, command }) => {
  const { flags } = command;
  for (const names of [flags.map((flag) => flag.name), flags.flatMap(({ short }) => short ?? [])])
    expect(names).toEqual([...new Set(names)]);
  const shown = flags.filter(({ hidden }) => !hidden);
  expect(shown.filter(({ usage }) => usage === "")).toEqual([]);
  const help = commandHelp(name, entry, command);
  for (const flag of shown) expect(help).toContain(`--${flag.name}`);
});

test.each(all.flatMap(({ command }) => (command.examples ?? []).map(([line]) => ({ line }))))("the example works: $line", ({ line }) => {
  const words =
    line
      .replace(/ [<|] .*/, "")
      .replace(/\$\(.*\)/, "x")
      .match(/'[^']*'|\S+/g) ?? [];
  const found = findCommand(words) as { entry: CommandEntry; rest: number };
  const { command } = all.find(({ entry }) => entry === found.entry) ?? {};
  expect(command).toBeDefined();
  const parsed = parseArguments(command?.flags ?? [], words.slice(found.rest), command?.flagsFirst !== true);
  expect(parsed.positional.length).toBeGreaterThanOrEqual(command?.arguments.min ?? 0);
  expect(parsed.positional.length).toBeLessThanOrEqual(command?.arguments.max ?? 100);
});

test("overviews name every command once, in lines that fit a terminal of 80 columns", () => {
  const overview = programHelp();
  for (const { entry, name } of all) {
    const lines = (entry.places[0]?.includes(" ") ? groupHelp(name.split(" ")[0] ?? "") : overview).split("\n");
    const word = name.split(" ").at(-1) ?? "";
    expect(lines.filter((line) => line.startsWith(`  ${word} `))).toHaveLength(1);
  }
  const texts = [
    overview,
    ...groups.map(({ name }) => groupHelp(name)),
    ...all.map(({ name, entry, command }) => commandHelp(name, entry, command)),
  ];
  // An example is one line, to be copied.
  const long = texts.flatMap((text) => text.split("\n")).filter((line) => line.length > 80 && !line.startsWith("  tsubo "));
  expect(long).toEqual([]);
});

test("what is said to be not here yet is not here", () => {
  const places = commands.flatMap((entry) => entry.places);
  expect([...notYet].filter((place) => places.includes(place) || groups.some(({ name }) => name === place))).toEqual([]);
});

test.each([
  ["frob", /^tsubo: unknown command: tsubo frob\n\nRun 'tsubo --help' for more information$/],
  ["imagse", /\n\nDid you mean .*'tsubo images'/],
  [
    "container sart",
    /^tsubo: unknown command: tsubo container sart\n\nDid you mean 'tsubo container start'\?\n\nUsage:  tsubo container\n/,
  ],
  ["stats x", /\n\nIt is not here yet\. The stock client does it on the same engine: docker -H unix:\/\/\/x\.sock stats\n/],
])("%s is answered with a way on", (line, message) => {
  expect(unknownCommand(line.split(" "), "unix:///x.sock").message).toMatch(message);
});

test("global flags have names of their own", () => {
  const names = globalFlags.map(({ name }) => name);
  expect(names).toEqual([...new Set(names)]);
});

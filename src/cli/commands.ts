import type { Command } from "./command.ts";

/**
 * All commands: one table, from which calls are found and help is made. A command may stand at several places (`ps`, `container ls`); its
 * file is loaded only when it is called.
 */
export type CommandEntry = {
  /** Where it stands; the first place is the one that overviews show, and each group shows the first that is its own. */
  readonly places: readonly string[];
  readonly summary: string;
  /** Among the first that the overview shows. */
  readonly common?: true;
  readonly load: () => Promise<{ readonly command: Command }>;
};

export type Group = { readonly name: string; readonly summary: string };

export const groups: readonly Group[] = [
  { name: "container", summary: "Manage containers" },
  { name: "image", summary: "Manage images" },
  { name: "network", summary: "Manage networks" },
  { name: "system", summary: "Manage the engine" },
  { name: "volume", summary: "Manage volumes" },
];

const at = (places: string, summary: string, load: CommandEntry["load"]): CommandEntry => ({ places: places.split(", "), summary, load });
const first = (entry: CommandEntry): CommandEntry => ({ ...entry, common: true });

export const commands: readonly CommandEntry[] = [
  first(at("run, container run", "Make a container from an image and run it", () => import("./commands/run.ts"))),
  first(at("exec, container exec", "Run a command in a running container", () => import("./commands/exec.ts"))),
  first(at("ps, container ls, container list, container ps", "List containers", () => import("./commands/ps.ts"))),
  first(at("images, image ls, image list", "List images", () => import("./commands/images.ts"))),
  first(at("version", "Show the versions of client and engine", () => import("./commands/version.ts"))),
  at("create, container create", "Make a container without starting it", () => import("./commands/create.ts")),
  at("logs, container logs", "Show the output of a container", () => import("./commands/logs.ts")),
];

/** The entry at the longest place that `words` begin with. */
export function findCommand(words: readonly string[]): { entry: CommandEntry; path: string; rest: number } | undefined {
  for (const length of [2, 1]) {
    const path = words.slice(0, length).join(" ");
    const entry = words.length >= length ? commands.find(({ places }) => places.includes(path)) : undefined;
    if (entry !== undefined) return { entry, path, rest: length };
  }
  return undefined;
}

/** What the overview of a group (or of the program, with the empty name) lists: one place for each command. */
export function placesIn(group: string): { name: string; entry: CommandEntry }[] {
  return commands.flatMap((entry) => {
    const place = entry.places.find((each) => (group === "" ? !each.includes(" ") : each.startsWith(`${group} `)));
    return place === undefined ? [] : [{ name: place.slice(group === "" ? 0 : group.length + 1), entry }];
  });
}

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
  { name: "builder", summary: "Manage builds" },
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
  first(at("build, image build, builder build", "Make an image from a Dockerfile", () => import("./commands/build.ts"))),
  first(at("pull, image pull", "Get an image from a registry", () => import("./commands/pull.ts"))),
  first(at("push, image push", "Bring an image to a registry", () => import("./commands/push.ts"))),
  first(at("images, image ls, image list", "List images", () => import("./commands/images.ts"))),
  first(at("login", "Log in at a registry", () => import("./commands/login.ts"))),
  first(at("logout", "Forget the login at a registry", () => import("./commands/logout.ts"))),
  first(at("search", "Look for images on Docker Hub", () => import("./commands/search.ts"))),
  first(at("version", "Show the versions of client and engine", () => import("./commands/version.ts"))),
  first(at("info, system info", "Show what the engine is and has", () => import("./commands/info.ts"))),
  first(at("doctor", "Look for anything the engine left behind or lost", () => import("./commands/doctor.ts"))),
  at("attach, container attach", "Join the streams of a running container", () => import("./commands/attach.ts")),
  at("commit, container commit", "Make an image of a container's changes", () => import("./commands/commit.ts")),
  at("cp, container cp", "Copy files out of a container, or into one", () => import("./commands/cp.ts")),
  at("create, container create", "Make a container without starting it", () => import("./commands/create.ts")),
  at("diff, container diff", "Show which files a container changed", () => import("./commands/diff.ts")),
  at("events, system events", "Show what happens in the engine, as it happens", () => import("./commands/events.ts")),
  at("export, container export", "Write a container's files to an archive", () => import("./commands/export.ts")),
  at("history, image history", "Show how an image was made", () => import("./commands/history.ts")),
  at("import, image import", "Make an image from an archive of files", () => import("./commands/import.ts")),
  at("inspect", "Show everything about containers, images, networks, volumes", () => import("./commands/inspect.ts")),
  at("kill, container kill", "Send a signal to running containers", () => import("./commands/kill.ts")),
  at("load, image load", "Take in the images of an archive", () => import("./commands/load.ts")),
  at("logs, container logs", "Show the output of a container", () => import("./commands/logs.ts")),
  at("pause, container pause", "Freeze all processes of containers", () => import("./commands/pause.ts")),
  at("port, container port", "Show where a container's ports are reached", () => import("./commands/port.ts")),
  at("rename, container rename", "Give a container another name", () => import("./commands/rename.ts")),
  at("restart, container restart", "Stop containers and start them again", () => import("./commands/restart.ts")),
  at("rm, container rm, container remove", "Remove containers", () => import("./commands/rm.ts")),
  at("rmi, image rm, image remove", "Remove images", () => import("./commands/rmi.ts")),
  at("save, image save", "Write images to an archive", () => import("./commands/save.ts")),
  at("start, container start", "Start containers that do not run", () => import("./commands/start.ts")),
  at("stop, container stop", "Stop running containers", () => import("./commands/stop.ts")),
  at("tag, image tag", "Give an image another name", () => import("./commands/tag.ts")),
  at("top, container top", "Show the processes of a container", () => import("./commands/top.ts")),
  at("unpause, container unpause", "Let paused containers go on", () => import("./commands/unpause.ts")),
  at("wait, container wait", "Wait until containers end; print their exit codes", () => import("./commands/wait.ts")),
  at("builder prune", "Remove the build cache", () => import("./commands/builder-prune.ts")),
  at("container inspect", "Show everything about containers", () => import("./commands/container-inspect.ts")),
  at("container prune", "Remove all containers that do not run", () => import("./commands/container-prune.ts")),
  at("image inspect", "Show everything about images", () => import("./commands/image-inspect.ts")),
  at("image prune", "Remove images that nothing uses", () => import("./commands/image-prune.ts")),
  at("network connect", "Put a container on a network", () => import("./commands/network-connect.ts")),
  at("network create", "Make a network", () => import("./commands/network-create.ts")),
  at("network disconnect", "Take a container off a network", () => import("./commands/network-disconnect.ts")),
  at("network inspect", "Show everything about networks", () => import("./commands/network-inspect.ts")),
  at("network ls, network list", "List networks", () => import("./commands/network-ls.ts")),
  at("network prune", "Remove networks that no container uses", () => import("./commands/network-prune.ts")),
  at("network rm, network remove", "Remove networks", () => import("./commands/network-rm.ts")),
  at("system df", "Show what takes up the disk", () => import("./commands/system-df.ts")),
  at("system prune", "Remove everything that nothing uses", () => import("./commands/system-prune.ts")),
  at("volume create", "Make a volume", () => import("./commands/volume-create.ts")),
  at("volume inspect", "Show everything about volumes", () => import("./commands/volume-inspect.ts")),
  at("volume ls, volume list", "List volumes", () => import("./commands/volume-ls.ts")),
  at("volume prune", "Remove volumes that no container uses", () => import("./commands/volume-prune.ts")),
  at("volume rm, volume remove", "Remove volumes", () => import("./commands/volume-rm.ts")),
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

import { PROGRAM, type Call, type Command } from "../command.ts";
import { readStat, statInContainer } from "../copy/container-place.ts";
import { openProgress, type CopyProgress } from "../copy/copy-progress.ts";
import { findSource, packSource } from "../copy/local-source.ts";
import { checkTarget, findTarget, LocalTarget } from "../copy/local-target.ts";
import { absolutePath, keepName, nameOf, planCopy, splitArgument, splitPath, type Place } from "../copy/places.ts";
import { containerPath } from "../engine/containers.ts";
import { isTerminal, writeAll } from "../output/print.ts";
import { TarReader } from "../../tar/tar-reader.ts";

export const command: Command = {
  usage: `[OPTIONS] CONTAINER:SRC_PATH DEST_PATH|-\n\t${PROGRAM} cp [OPTIONS] SRC_PATH|- CONTAINER:DEST_PATH`,
  arguments: { min: 2, max: 2 },
  flags: [
    { name: "archive", short: "a", kind: "boolean", usage: "Into a container: all of it is the user's that the container runs as" },
    { name: "follow-link", short: "L", kind: "boolean", usage: "What a symlink at the source leads to, not the symlink" },
    { name: "quiet", short: "q", kind: "boolean", usage: "Say nothing of how far it is (as when no terminal is there)" },
  ],
  about: "The container need not run. FOLDER/. is what is in a folder; - is a tar archive.",
  examples: [
    ["cp web:/etc/nginx/nginx.conf .", "a file out of a container"],
    ["cp site/. web:/usr/share/nginx/html", "what is in a folder into one of the container"],
    ["cp web:/var/log - | tar t", "as an archive"],
  ],
  async run(call) {
    const [first = "", second = ""] = call.args;
    if (first === "") throw new Error("source can not be empty");
    if (second === "") throw new Error("destination can not be empty");
    const [source, target] = [splitArgument(first), splitArgument(second)];
    if (source.container !== "" && target.container !== "") throw new Error("copying between containers is not supported");
    if (source.container !== "") await copyOut(call, source.container, source.path, target.path);
    else if (target.container !== "") await copyIn(call, source.path, target.container, target.path);
    else throw new Error("must specify at least one container source");
  },
};

async function copyOut({ client, flags }: Call, container: string, given: string, to: string): Promise<void> {
  const target = to === "-" ? to : absolutePath(to);
  checkTarget(target);
  const source = flags.boolean("follow-link") ? await followed(client, container, given) : { path: given };
  const { headers, body } = await client.answer("GET", containerPath(container, "archive"), { query: { path: source.path } });
  if (target === "-") {
    // Without an encoding set, a body's chunks are Buffers.
    for await (const chunk of body) writeAll(1, chunk as Buffer);
    return;
  }
  const { isFolder } = readStat(headers);
  const progress = openProgress("Copying from container - ", { isQuiet: isQuiet(flags) });
  try {
    const { folder, newName } = planCopy({ ...source, exists: true, isFolder }, findTarget(target));
    const unpacking = new LocalTarget(folder, renamed(source.path, newName ?? nameOf({ ...source, exists: true, isFolder })));
    await unpack(body as AsyncIterable<Buffer>, unpacking, progress);
  } finally {
    body.destroy();
    progress.done();
  }
  progress.tell(target);
}

/** The engine calls the thing by the last part of its path. */
function renamed(source: string, name: string): (entry: string) => string {
  const binary = (text: string): string => Buffer.from(text, "utf8").toString("latin1");
  const old = splitPath(source).name === "/" ? "" : binary(splitPath(source).name);
  const next = binary(name === "/" ? "" : name);
  return (entry) => (entry.startsWith(old) ? `${next}${entry.slice(old.length)}` : entry);
}

async function unpack(body: AsyncIterable<Buffer>, target: LocalTarget, progress: CopyProgress): Promise<void> {
  const leave = (): never => {
    target.abandon();
    process.exit(EXIT_SIGINT);
  };
  process.once("SIGINT", leave).once("SIGTERM", leave);
  try {
    const reader = new TarReader(target);
    for await (const chunk of body) {
      progress.add(chunk.length);
      reader.push(chunk);
    }
    reader.finish();
    target.finish();
  } finally {
    target.abandon();
    process.off("SIGINT", leave).off("SIGTERM", leave);
  }
}

/** The exit status of a program that SIGINT ended, as a shell shows it. */
const EXIT_SIGINT = 130;

async function followed(client: Call["client"], container: string, given: string): Promise<{ path: string; calledAs?: string }> {
  const stat = await statInContainer(client, container, given);
  return stat?.isSymlink === true ? keepName(given, linkFrom(given, stat.linkTarget)) : { path: given };
}

/** Engines of old give what the symlink says. */
function linkFrom(link: string, target: string): string {
  return target.startsWith("/") ? target : `${splitPath(link).folder}/${target}`;
}

async function copyIn({ client, flags }: Call, given: string, container: string, to: string): Promise<void> {
  const target = await findInContainer(client, container, to);
  let folder = target.path;
  let archive: AsyncIterable<Uint8Array> | Iterable<Uint8Array> = process.stdin;
  if (given === "-") {
    if (!target.isFolder) throw new Error(`destination "${container}:${to}" must be a directory`);
  } else {
    const source = findSource(absolutePath(given), { follow: flags.boolean("follow-link") });
    const plan = planCopy(source, target);
    folder = plan.folder;
    archive = packSource(source, plan.newName);
  }
  const progress = openProgress("Copying to container - ", { isQuiet: isQuiet(flags) });
  try {
    await client.text("PUT", containerPath(container, "archive"), {
      query: { path: folder, noOverwriteDirNonDir: "true", copyUIDGID: flags.boolean("archive") ? "true" : undefined },
      stream: counted(archive, progress),
    });
  } finally {
    progress.done();
  }
  progress.tell(`${container}:${target.path}`);
}

async function findInContainer(client: Call["client"], container: string, given: string): Promise<Place> {
  let path = given;
  let stat = await statInContainer(client, container, path);
  if (stat?.isSymlink === true) {
    path = linkFrom(given, stat.linkTarget);
    stat = await statInContainer(client, container, path);
  }
  if (stat?.isDevice === true) throw new Error(`destination "${container}:${given}" must be a directory or a regular file: got a device`);
  return { path, exists: stat !== undefined, isFolder: stat?.isFolder ?? false };
}

async function* counted(archive: AsyncIterable<Uint8Array> | Iterable<Uint8Array>, progress: CopyProgress): AsyncGenerator<Uint8Array> {
  for await (const piece of archive) {
    progress.add(piece.length);
    yield piece;
  }
}

function isQuiet(flags: Call["flags"]): boolean {
  return flags.changed("quiet") ? flags.boolean("quiet") : !isTerminal(1);
}

import { closeSync } from "node:fs";
import { Socket } from "node:net";
import path from "node:path";

import { EngineError } from "../../base/errors.ts";
import { createPipe } from "../../kernel/fifo.ts";
import type { MountTree } from "../../kernel/mount-tree.ts";
import { NOTHING_THERE, type PathStat } from "../../store/archive/find.ts";
import type { TreeRequest } from "../../store/archive/job.ts";
import type { ReadArchiveRequest } from "../../store/archive/read-archive.ts";
import type { WriteArchiveRequest } from "../../store/archive/write-archive.ts";
import { paths } from "../../store/roots.ts";
import type { Container } from "./container.ts";
import { withContainerTree } from "./container-tree.ts";
import type { ArchiveTarget } from "./containers.ts";
import { publishContainerEvent, type ContainerContext } from "./context.ts";
import { resolveUser } from "./user.ts";

/**
 * `/containers/{id}/archive`: files out of a container and into it. The work is a child's, on a tree of its own (kernel/mount-tree.ts); the
 * archive goes through a pipe between client and child, which is all that the daemon has of it.
 */

/** `HEAD`: what is at a path. */
export async function statPath(context: ContainerContext, name: string, path: string, signal?: AbortSignal): Promise<PathStat> {
  const container = context.set.get(name);
  return naming(name, path, () =>
    withContainerTree(context, container, { readOnly: true }, async (tree) => {
      const payload: TreeRequest = { tree, path: binaryOf(path) };
      // A child of the same build answers it.
      return (await context.children.run({ kind: "statPath", payload, what: `looking at ${path}`, heavy: false }, signal)) as PathStat;
    }),
  );
}

/** `GET`: resolves when it is known what is there. */
export async function readArchive(
  context: ContainerContext,
  name: string,
  path: string,
  signal?: AbortSignal,
): Promise<{ stat: PathStat; pieces: AsyncIterable<Uint8Array> }> {
  const container = context.set.get(name);
  const found = Promise.withResolvers<{ stat: PathStat; input: Socket }>();
  const done = naming(name, path, () =>
    withContainerTree(context, container, { readOnly: true }, (tree) => sendArchive(context, tree, path, found.resolve, signal)),
  );
  done.catch(found.reject);
  const { stat, input } = await found.promise;
  publishContainerEvent(context, container, "archive-path");
  return { stat, pieces: piecesOf(input, done) };
}

async function sendArchive(
  context: ContainerContext,
  tree: MountTree,
  path: string,
  found: (found: { stat: PathStat; input: Socket }) => void,
  signal: AbortSignal | undefined,
): Promise<void> {
  const pipe = createPipe();
  const input = new Socket({ fd: pipe.reader, readable: true, writable: false });
  const payload: ReadArchiveRequest = {
    tree,
    path: cleanPath(binaryOf(path)),
    output: { pid: process.pid, descriptor: pipe.writer },
  };
  let isFound = false;
  // Its end is the child's to bring, once it has its own descriptor.
  const progress = (stat: unknown): void => {
    isFound = true;
    closeSync(pipe.writer);
    found({ stat: stat as PathStat, input });
  };
  try {
    await context.children.run({ kind: "readArchive", payload, what: `reading ${path}`, heavy: false, progress }, signal);
  } finally {
    if (!isFound) {
      closeSync(pipe.writer);
      input.destroy();
    }
  }
}

/** An end of the pipe is the end of the archive only if the child says so. */
async function* piecesOf(input: Socket, done: Promise<void>): AsyncGenerator<Uint8Array> {
  try {
    // No encoding is set.
    for await (const piece of input) yield piece as Buffer;
    await done;
  } finally {
    input.destroy();
  }
}

/** `PUT`: unpacks an archive in a folder of the container. */
export async function writeArchive(
  context: ContainerContext,
  name: string,
  target: ArchiveTarget,
  archive: AsyncIterable<Uint8Array>,
  signal?: AbortSignal,
): Promise<void> {
  const container = context.set.get(name);
  await naming(name, target.path, () =>
    withContainerTree(context, container, { readOnly: false }, (tree) => receiveArchive(context, container, tree, target, archive, signal)),
  );
  publishContainerEvent(context, container, "extract-to-dir");
}

async function receiveArchive(
  context: ContainerContext,
  container: Container,
  tree: MountTree,
  { path, keepKinds, ownedByUser }: ArchiveTarget,
  archive: AsyncIterable<Uint8Array>,
  signal: AbortSignal | undefined,
): Promise<void> {
  const { config, mounts, hostConfig } = container;
  const user =
    ownedByUser && config.User !== "" ? await resolveUser(paths.rootfs(context.roots, container.id), config.User, []) : undefined;
  const pipe = createPipe();
  const output = new Socket({ fd: pipe.writer, readable: false, writable: true });
  output.on("error", () => undefined);
  const readOnlyMounts = new Map(mounts.map(({ destination, readOnly }) => [destination, readOnly]));
  const payload: WriteArchiveRequest = {
    tree,
    path: cleanPath(binaryOf(path)),
    input: { pid: process.pid, descriptor: pipe.reader },
    keepKinds,
    owner: user && { user: user.uid, group: user.gid },
    mounts: tree.mounts.map(({ target }) => ({ target, readOnly: readOnlyMounts.get(target) ?? false })),
    readOnlyRoot: hostConfig.ReadonlyRootfs,
  };
  const ready = Promise.withResolvers<boolean>();
  const job = context.children.run(
    { kind: "writeArchive", payload, what: `writing to ${path}`, heavy: false, progress: () => ready.resolve(true) },
    signal,
  );
  try {
    // The child's own descriptor is the only one then: it hears of the end, and we of its.
    await Promise.race([ready.promise, job]).finally(() => closeSync(pipe.reader));
    await Promise.race([pump(archive, output), job]);
    await job;
  } finally {
    output.destroy();
    await job.catch(() => undefined);
  }
}

/** Until there is no more, or nobody who wants it. */
async function pump(archive: AsyncIterable<Uint8Array>, output: Socket): Promise<void> {
  for await (const piece of archive) {
    if (output.destroyed) return;
    if (!output.write(piece)) await roomIn(output);
  }
  output.end();
}

function roomIn(output: Socket): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      output.off("drain", done).off("close", done);
      resolve();
    };
    output.on("drain", done).on("close", done);
  });
}

/** Nothing there is said of the name that the caller gave. */
async function naming<T>(container: string, path: string, work: () => Promise<T>): Promise<T> {
  if (path.includes("\0")) throw new EngineError("invalid", "the path contains a NUL character");
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof EngineError) || error.kind !== "notFound" || error.message !== NOTHING_THERE) throw error;
    throw new EngineError("notFound", `Could not find the file ${path} in container ${container}`, { cause: error });
  }
}

/** By its letters, as Docker does, but for what a slash or dot at the end asks for. */
function cleanPath(given: string): string {
  const clean = path.posix.resolve("/", given);
  if (/(?:^|\/)\.$/.test(given)) return clean === "/" ? "/." : `${clean}/.`;
  return given.endsWith("/") && clean !== "/" ? `${clean}/` : clean;
}

/** Names are bytes to the kernel (kernel/openat.ts). */
function binaryOf(text: string): string {
  return Buffer.from(text, "utf8").toString("latin1");
}

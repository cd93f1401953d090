import { mkdir, rename, stat } from "node:fs/promises";
import { createHash } from "node:crypto";
import path from "node:path";

import { EngineError } from "../../../base/errors.ts";
import { IgnoreMatcher, parseIgnoreFile } from "../../../base/ignore-file.ts";
import { writeChunks } from "../../../base/write-chunks.ts";
import { paths } from "../../../store/roots.ts";
import type { BuildRequest } from "../builds.ts";
import type { BuildRun } from "../graph/build-run.ts";
import { parseGitReference } from "./git-reference.ts";
import type { IndexRequest, IndexResult } from "./index-archive.ts";
import type { TreeSource } from "./tree-source.ts";

/** Where a build's files come from. */
export type BuildContext =
  /** Sent as a tar archive, compressed or not. */
  | { kind: "archive"; bytes: AsyncIterable<Uint8Array> }
  /** To be fetched: a git repository, an archive, or a Dockerfile alone. */
  | { kind: "remote"; url: string }
  /**
   * A folder of this machine, read where it lies. The client says which one it sees by that path, so that one in another mount namespace is
   * not mistaken; `dockerfile` is the text of one that lies elsewhere.
   */
  | { kind: "folder"; path: string; device: string; inode: string; dockerfile: string | undefined };

export interface OpenedContext {
  source: TreeSource;
  dockerfile: string;
  /** Patterns of what is left out. */
  ignore: string[];
}

/** Brings a context to where steps can take files from it. */
export async function openContext(run: BuildRun, request: BuildRequest): Promise<OpenedContext> {
  const { context } = request;
  switch (context.kind) {
    case "archive": {
      const archivePath = path.join(run.folder, "context.tar");
      await writeChunks(archivePath, context.bytes, run.signal);
      return openArchive(run, request, archivePath);
    }
    case "remote":
      return openRemote(run, request, context.url);
    case "folder":
      return openFolder(run, request, context);
  }
}

async function openArchive(run: BuildRun, { dockerfile: name }: BuildRequest, archivePath: string): Promise<OpenedContext> {
  const indexPath = path.join(run.folder, "index.json");
  const payload: IndexRequest = { archivePath, plainPath: `${archivePath}.plain`, indexPath, texts: [name, ".dockerignore"] };
  // What indexArchive of the same build gives back.
  const { texts } = (await run.child("indexContext", payload, "reading the build context")) as IndexResult;
  const [text, ignore] = texts;
  const dockerfile = checkText(text, name);
  // The client has left out what .dockerignore names, but for these two, which are needed here.
  const patterns = parseIgnoreFile(ignore ?? "");
  const matcher = new IgnoreMatcher(patterns);
  const hidden = [name, ".dockerignore"].map((one) => path.posix.normalize(one)).filter((one) => matcher.isIgnored(one));
  return { dockerfile, ignore: patterns, source: { kind: "archive", archivePath, indexPath, hidden } };
}

async function openRemote(run: BuildRun, request: BuildRequest, url: string): Promise<OpenedContext> {
  const git = parseGitReference(url);
  if (git !== undefined) {
    const target = path.join(run.folder, "repository");
    await run.child("cloneGit", { ...git, target, keepGitDir: false, sshAgent: request.sshAgents.get("default") }, `cloning ${git.url}`);
    return readFolder(run, request, { kind: "folder", root: path.join(target, git.folder), isContext: true }, undefined);
  }
  if (!/^https?:\/\//.test(url))
    throw new EngineError("invalid", `unable to prepare context: ${JSON.stringify(url)} is neither a git repository nor an http(s) URL`);
  const archivePath = path.join(run.folder, "context.tar");
  const { contentType } = await run.fetch(url, archivePath);
  if (!contentType.startsWith("text/")) return openArchive(run, request, archivePath);
  // A Dockerfile alone: there is nothing to take files from.
  const root = path.join(run.folder, "context");
  await mkdir(root, { mode: 0o700 });
  await rename(archivePath, path.join(root, "Dockerfile"));
  return readFolder(run, { ...request, dockerfile: "Dockerfile" }, { kind: "folder", root, isContext: true }, undefined);
}

/** A further context that the client names: a folder of this machine, a git repository, or an archive at a URL. */
export async function openNamedContext(run: BuildRun, request: BuildRequest, given: string): Promise<TreeSource> {
  if (given.startsWith("/")) return withIgnore(run, { kind: "folder", root: given, isContext: true });
  const git = parseGitReference(given);
  if (git !== undefined) {
    const target = run.filePath();
    await run.child("cloneGit", { ...git, target, keepGitDir: false, sshAgent: request.sshAgents.get("default") }, `cloning ${git.url}`);
    return withIgnore(run, { kind: "folder", root: path.join(target, git.folder), isContext: true });
  }
  if (!/^https?:\/\//.test(given)) throw new EngineError("invalid", `unknown build context ${JSON.stringify(given)}`);
  const archivePath = run.filePath();
  await run.fetch(given, archivePath);
  const payload: IndexRequest = { archivePath, plainPath: run.filePath(), indexPath: run.filePath(), texts: [] };
  await run.child("indexContext", payload, "reading a build context");
  return { kind: "archive", archivePath, indexPath: payload.indexPath, hidden: [] };
}

async function withIgnore(run: BuildRun, source: Extract<TreeSource, { kind: "folder" }>): Promise<TreeSource> {
  const [text] = (await run.child("readTexts", { source, texts: [".dockerignore"] }, "reading .dockerignore")) as (string | null)[];
  return { ...source, ignore: parseIgnoreFile(text ?? "") };
}

async function openFolder(
  run: BuildRun,
  request: BuildRequest,
  context: Extract<BuildContext, { kind: "folder" }>,
): Promise<OpenedContext> {
  const found = await stat(context.path, { bigint: true }).catch(() => undefined);
  if (found === undefined || !found.isDirectory() || String(found.dev) !== context.device || String(found.ino) !== context.inode)
    throw new EngineError("unavailable", `the folder ${context.path} is not the one that the client sees: send it instead`);
  const name = createHash("sha256").update(context.path).digest("hex");
  const statCachePath = path.join(paths.statCaches(run.engine.roots), name);
  return readFolder(run, request, { kind: "folder", root: context.path, isContext: true, statCachePath }, context.dockerfile);
}

async function readFolder(
  run: BuildRun,
  { dockerfile: name }: BuildRequest,
  source: Extract<TreeSource, { kind: "folder" }>,
  text: string | undefined,
): Promise<OpenedContext> {
  const payload = { source, texts: [name, `${name}.dockerignore`, ".dockerignore"] };
  const texts = (await run.child("readTexts", payload, "reading the Dockerfile")) as (string | null)[];
  const ignore = parseIgnoreFile(texts[1] ?? texts[2] ?? "");
  return { dockerfile: checkText(text ?? texts[0], name), ignore, source: { ...source, ignore } };
}

function checkText(text: string | null | undefined, name: string): string {
  if (text === undefined || text === null) throw new EngineError("system", `Cannot locate specified Dockerfile: ${name}`);
  if (text === "") throw new EngineError("invalid", `the Dockerfile (${name}) cannot be empty`);
  return text;
}

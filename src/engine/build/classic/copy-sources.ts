import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdir, rename, utimes } from "node:fs/promises";
import path from "node:path";
import { pipeline } from "node:stream/promises";

import { EngineError } from "../../../base/errors.ts";
import type { Copy } from "../context/copy-files.ts";
import type { CloneRequest } from "../context/clone-git.ts";
import { type GitReference, parseGitReference } from "../context/git-reference.ts";
import type { Selected, SelectRequest } from "../context/select.ts";
import type { TreeSource } from "../context/tree-source.ts";
import { expandHeredoc } from "../../../dockerfile/expand.ts";
import { chompHeredoc } from "../../../dockerfile/lines.ts";
import type { AddInstruction, CopyInstruction, Heredoc } from "../../../dockerfile/syntax.ts";
import { expandOne } from "./config-steps.ts";
import type { Step } from "./steps.ts";
import { variableOf } from "./stage-state.ts";

/** What a COPY or ADD takes, found and summed up; nothing is copied yet. */
export interface FoundSources {
  copies: Copy[];
  /** One for each source, as Docker's history shows them. */
  sums: string[];
}

/** Finds the sources in `tree` (the context, a stage, an image), in the Dockerfile itself, and, for ADD, at URLs. */
export async function findSources(step: Step, instruction: CopyInstruction | AddInstruction, tree: TreeSource): Promise<FoundSources> {
  const found: FoundSources = { copies: [], sums: [] };
  const parents = instruction.kind === "copy" && instruction.parents;
  const excludes = instruction.excludes.map((one) => expandOne(step, one));
  const take = async (source: TreeSource, paths: string[], unpacks: boolean): Promise<void> => {
    if (paths.length === 0) return;
    const request: SelectRequest = { source, paths, excludes, parents };
    const what = `looking for what ${instruction.kind.toUpperCase()} names`;
    const { items, sums } = (await step.build.run.child("selectFiles", request, what)) as Selected;
    found.sums.push(...sums);
    found.copies.push({ source, items, excludes, parents, unpacks });
  };
  let local: string[] = [];
  const takeLocal = async (): Promise<void> => {
    const paths = local;
    local = [];
    await take(tree, paths, instruction.kind === "add" && instruction.unpack !== false);
  };
  for (const written of instruction.sources) {
    const source = expandOne(step, written);
    const remote = instruction.kind === "add" ? await bringRemote(step, instruction, source) : undefined;
    if (remote === undefined) local.push(source);
    else {
      await takeLocal();
      await take(remote.tree, [remote.path], instruction.kind === "add" && instruction.unpack === true);
    }
  }
  await takeLocal();
  const files = instruction.heredocs.map((heredoc) => ({ name: heredoc.name, text: heredocText(step, heredoc) }));
  const names = files.map(({ name }) => name);
  await take({ kind: "texts", files }, names, false);
  return found;
}

/** ADD of a git repository or URL: brought into a folder of the build's. Undefined for a path in the context. */
async function bringRemote(
  step: Step,
  instruction: AddInstruction,
  source: string,
): Promise<{ tree: TreeSource; path: string } | undefined> {
  const git = parseGitReference(source);
  if (git !== undefined) return cloneInto(step, instruction, git);
  if (/^https?:\/\//.test(source)) return download(step, instruction, source);
  if (instruction.checksum !== undefined) throw new EngineError("invalid", "checksum can't be specified for local sources");
  return undefined;
}

async function cloneInto(step: Step, instruction: AddInstruction, git: GitReference): Promise<{ tree: TreeSource; path: string }> {
  const { run, request } = step.build;
  const target = run.filePath();
  const checksum = instruction.checksum === undefined ? git.checksum : expandOne(step, instruction.checksum);
  const sshAgent = request.sshAgents.get("default");
  const payload: CloneRequest = { ...git, checksum, target, keepGitDir: instruction.keepGitDir === true, sshAgent };
  await run.child("cloneGit", payload, `cloning ${git.url}`);
  return { tree: { kind: "folder", root: target, isContext: true }, path: git.folder === "" ? "." : git.folder };
}

async function download(step: Step, instruction: AddInstruction, url: string): Promise<{ tree: TreeSource; path: string }> {
  const { run } = step.build;
  const name = fileNameOf(url);
  if (name === "" && instruction.destination.endsWith("/")) throw new EngineError("invalid", `cannot determine filename for source ${url}`);
  const root = run.filePath();
  await mkdir(root, { mode: 0o700 });
  const growing = path.join(root, ".growing");
  const { lastModified } = await run.fetch(url, growing);
  if (instruction.checksum !== undefined) await verify(growing, expandOne(step, instruction.checksum));
  const modified = Date.parse(lastModified);
  const seconds = Number.isNaN(modified) ? 0 : modified / 1000;
  await utimes(growing, seconds, seconds);
  const file = name === "" ? "download" : name;
  await rename(growing, path.join(root, file));
  return { tree: { kind: "folder", root, isContext: false }, path: file };
}

/** The last part of a URL's path. */
function fileNameOf(url: string): string {
  try {
    return decodeURIComponent(path.posix.basename(new URL(url).pathname)).replaceAll(/[/\0]/g, "");
  } catch {
    throw new EngineError("invalid", `invalid URL: ${JSON.stringify(url)}`);
  }
}

async function verify(file: string, expected: string): Promise<void> {
  const match = /^(sha256|sha384|sha512):([0-9a-f]+)$/.exec(expected);
  if (match === null) throw new EngineError("invalid", `unsupported checksum ${JSON.stringify(expected)}`);
  const [, algorithm = "sha256"] = match;
  const hash = createHash(algorithm);
  await pipeline(createReadStream(file), hash);
  const actual = `${algorithm}:${hash.digest("hex")}`;
  if (actual !== expected) throw new EngineError("invalid", `digest mismatch ${actual}: ${expected}`);
}

function heredocText(step: Step, heredoc: Heredoc): string {
  const content = heredoc.chomp ? chompHeredoc(heredoc.content) : heredoc.content;
  return heredoc.expand ? expandHeredoc(content, variableOf(step.state), step.escape) : content;
}

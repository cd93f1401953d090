import { createHash } from "node:crypto";
import { existsSync, lstatSync, readFileSync, realpathSync, statSync } from "node:fs";
import path from "node:path";
import { codeOf, messageOf } from "../../base/errors.ts";
import { IgnoreMatcher, parseIgnoreFile } from "../../base/ignore-file.ts";
import { CommandFailure } from "../failure.ts";
import { download } from "./download.ts";
import { packFolder } from "./pack.ts";
import { readStart } from "./sniff.ts";
import { tarEnd, tarHeader, tarPadding } from "./tar.ts";

/**
 * What an image is built from: a folder, an archive or a lone Dockerfile on standard input (`-`) or at a URL, or a repository, which the
 * engine fetches itself.
 */
export type BuildContext = {
  /** The archive to send; absent where the engine fetches it. */
  readonly archive?: AsyncIterable<string | Uint8Array> | Iterable<Uint8Array>;
  readonly remote?: string;
  /** The Dockerfile's path inside; the engine's default where it is empty. */
  readonly dockerfile: string;
  /** The folder, for an engine on this machine to read itself, and the text of a Dockerfile that is not in it. */
  readonly inPlace?: { readonly folder: string; readonly dockerfile?: { readonly name: string; readonly content: Buffer } };
};

const DOCKERFILE = "Dockerfile";
const IGNORE_FILE = ".dockerignore";

/** Opens it; `write` is told how a download goes. */
export async function openContext(source: string, dockerfile: string, write: (text: string) => void): Promise<BuildContext> {
  if (source === "-" && dockerfile === "-")
    throw new CommandFailure("invalid argument: can't use stdin for both build context and dockerfile");
  try {
    if (source === "-") return await fromStream(process.stdin, dockerfile);
    if (existsSync(source)) return await fromFolder(source, dockerfile);
    if (isGitUrl(source)) return { remote: source, dockerfile };
    if (/^https?:\/\//.test(source)) return await fromStream(await download(source, write), dockerfile);
  } catch (error) {
    throw error instanceof CommandFailure
      ? error
      : new CommandFailure(`unable to prepare context: ${messageOf(error)}`, 1, { cause: error });
  }
  throw new CommandFailure(`unable to prepare context: path ${JSON.stringify(source)} not found`);
}

/** Docker's rule, which has no more to it. */
function isGitUrl(source: string): boolean {
  return /^(git:\/\/|github\.com\/|git@)|^https?:\/\/.*\.git(#.+)?$/.test(source);
}

async function fromStream(stream: AsyncIterable<string | Uint8Array>, dockerfile: string): Promise<BuildContext> {
  const { isArchive, whole } = await readStart(stream);
  if (isArchive && dockerfile !== "-") return { archive: whole, dockerfile };
  if (isArchive) throw new Error("a Dockerfile from standard input goes with a folder: with a URL, name one inside of it");
  if (dockerfile === "-") throw new Error("build context is not an archive");
  if (dockerfile !== "") throw new Error("ambiguous Dockerfile source: both stdin and flag correspond to Dockerfiles");
  const content = await readAll(whole);
  const entry = {
    name: DOCKERFILE,
    type: "file",
    mode: 0o644,
    sizeBytes: content.length,
    mtimeSeconds: Math.floor(Date.now() / 1000),
  } as const;
  return { archive: [tarHeader(entry), content, tarPadding(content.length), tarEnd()], dockerfile: DOCKERFILE };
}

async function fromFolder(source: string, dockerfile: string): Promise<BuildContext> {
  const folder = realPath(path.resolve(source), "context path");
  if (!statSync(folder).isDirectory()) throw new Error(`context must be a directory: ${folder}`);
  const file = dockerfile === "-" ? undefined : locate(folder, dockerfile);
  const inside = file === undefined ? undefined : path.relative(folder, file);
  const ignored = readIgnoreFile(folder, file);
  if (inside !== undefined && !inside.startsWith("../")) {
    const ignore = ignoring(ignored, [IGNORE_FILE, inside]);
    return { archive: packFolder(folder, { ignore }), dockerfile: inside, inPlace: { folder } };
  }
  const content = file === undefined ? await readAll(process.stdin) : readFileSync(file);
  // Named for its content: the same Dockerfile is no change.
  const name = `.dockerfile.${createHash("sha256").update(content).digest("hex").slice(0, 20)}`;
  const ignoreFile = Buffer.from(`${ignored ?? IGNORE_FILE}\n${name}\n`);
  const instead = new Map([
    [name, content],
    [IGNORE_FILE, ignoreFile],
  ]);
  const archive = packFolder(folder, { ignore: ignoring(ignored, [IGNORE_FILE]), instead });
  // An ignore file beside a Dockerfile elsewhere is not the engine's to see, nor is one in the folder that has its name. An empty Dockerfile would be none.
  const shown = path.basename(file ?? DOCKERFILE);
  const ignoreFiles = [...(file === undefined ? [] : [`${file}${IGNORE_FILE}`]), path.join(folder, `${shown}${IGNORE_FILE}`)];
  const isOwn = content.length > 0 && !ignoreFiles.some(existsSync);
  return { archive, dockerfile: name, ...(isOwn && { inPlace: { folder, dockerfile: { name: shown, content } } }) };
}

/** The Dockerfile's real path: as it was named, from where we stand, or the usual one. */
function locate(folder: string, given: string): string {
  if (given !== "") return realPath(path.resolve(given), "Dockerfile path");
  const usual = path.join(folder, DOCKERFILE);
  const lower = path.join(folder, DOCKERFILE.toLowerCase());
  return realPath(!isThere(usual) && isThere(lower) ? lower : usual, "Dockerfile path");
}

function isThere(file: string): boolean {
  return lstatSync(file, { throwIfNoEntry: false }) !== undefined;
}

function realPath(given: string, what: string): string {
  try {
    return realpathSync(given);
  } catch (error) {
    const parts = given.split("/");
    const prefixes = parts.map((_, at) => parts.slice(0, at + 1).join("/") || "/");
    const missing = prefixes.find((prefix) => !existsSync(prefix)) ?? given;
    const why = { ENOENT: `lstat ${missing}: no such file or directory`, ENOTDIR: "not a directory" }[codeOf(error) ?? ""];
    throw new Error(`unable to evaluate symlinks in ${what}: ${why ?? messageOf(error)}`, { cause: error });
  }
}

/** The patterns that go with a Dockerfile, or else those of the context. */
function readIgnoreFile(folder: string, dockerfile: string | undefined): string | undefined {
  const candidates = [...(dockerfile === undefined ? [] : [`${dockerfile}${IGNORE_FILE}`]), path.join(folder, IGNORE_FILE)];
  for (const file of candidates) {
    try {
      return readFileSync(file, "utf8");
    } catch (error) {
      if (codeOf(error) !== "ENOENT")
        throw new CommandFailure(`error reading ${path.basename(file)}: ${messageOf(error)}`, 1, { cause: error });
    }
  }
  return undefined;
}

/** What is ignored, but never the files that the build itself reads. */
function ignoring(text: string | undefined, needed: readonly string[]): IgnoreMatcher {
  if (text === undefined) return new IgnoreMatcher([]);
  try {
    const patterns = parseIgnoreFile(text);
    const ignore = new IgnoreMatcher(patterns);
    const kept = needed.filter((name) => ignore.isIgnored(name)).map((name) => `!${name.replaceAll(/[*?[\]\\]/g, "\\$&")}`);
    return kept.length === 0 ? ignore : new IgnoreMatcher([...patterns, ...kept]);
  } catch (error) {
    throw new CommandFailure(`error checking context: ${messageOf(error)}`, 1, { cause: error });
  }
}

async function readAll(stream: AsyncIterable<string | Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of stream) chunks.push(typeof chunk === "string" ? Buffer.from(chunk) : chunk);
  return Buffer.concat(chunks);
}

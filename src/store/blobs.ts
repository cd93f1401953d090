import { createHash, randomBytes } from "node:crypto";
import { readdir, readFile, rm, stat } from "node:fs/promises";
import path from "node:path";

import { writeFileAtomic } from "../base/atomic-file.ts";
import { codeOf, EngineError } from "../base/errors.ts";
import { KeyedLock } from "../base/locks.ts";
import { paths, type Roots } from "./roots.ts";

/**
 * Blobs: bytes known by their sha256. What is under its name here is whole and was verified; it is verified again when read.
 *
 * Kept are the configs and manifests of images, whose exact bytes make their ids. Compressed layers pass through `content/partial`: a
 * download grows there under its digest, is resumed there after a break, and is deleted when it has been unpacked, for keeping it would
 * take the disk once more. What is left in `partial` (cancelled, broken off) is deleted after PARTIAL_KEPT_MS.
 */
export interface Blobs {
  /** The bytes; `notFound` without, `system` when they are not what their name says. */
  read: (digest: string) => Promise<Buffer>;
  /** Durable when it resolves. */
  write: (bytes: Uint8Array) => Promise<string>;
  /** Unless `isNeeded` says, at the last moment, that somebody wants it. */
  remove: (digest: string, isNeeded: () => boolean) => Promise<void>;
  list: () => Promise<string[]>;
  /** The file of one that is there. */
  path: (digest: string) => string;
  /** Where a download of this blob grows. */
  partialPath: (digest: string) => string;
  /** A file of its own for something that passes through; the next start deletes it. */
  temporaryPath: () => string;
  /** Deletes what an earlier daemon left under temporary names. */
  removeTemporary: () => Promise<void>;
  /** Deletes old partial downloads, and others beyond MAX_PARTIAL_BYTES, oldest first; none that is in use. */
  expirePartial: (inUse: ReadonlySet<string>) => Promise<void>;
}

const TEMPORARY_PREFIX = "tmp-";
const PARTIAL_KEPT_MS = 24 * 3600 * 1000;
const MAX_PARTIAL_BYTES = 20 * 1024 ** 3;

export function openBlobs(roots: Roots): Blobs {
  const fileOf = (digest: string): string => path.join(paths.blobs(roots), hexOf(digest));
  const locks = new KeyedLock();
  const temporaryPath = (): string => path.join(paths.partialBlobs(roots), TEMPORARY_PREFIX + randomBytes(8).toString("hex"));
  return {
    async read(digest) {
      let bytes: Buffer;
      try {
        bytes = await readFile(fileOf(digest));
      } catch (error) {
        if (codeOf(error) !== "ENOENT") throw error;
        throw new EngineError("notFound", `no such blob: ${digest}`);
      }
      if (digestOf(bytes) !== digest)
        throw new EngineError("system", `blob ${digest} is damaged on the disk: remove the image and pull it again`);
      return bytes;
    },
    async write(bytes) {
      const digest = digestOf(bytes);
      await locks.run(digest, async () => {
        if ((await statOrNothing(fileOf(digest)))?.size !== bytes.length)
          await writeFileAtomic(fileOf(digest), bytes, 0o600, temporaryPath());
      });
      return digest;
    },
    remove: (digest, isNeeded) =>
      locks.run(digest, async () => {
        if (!isNeeded()) await rm(fileOf(digest), { force: true });
      }),
    async list() {
      const names = await readdir(paths.blobs(roots));
      return names.filter((name) => /^[a-f0-9]{64}$/.test(name)).map((name) => `sha256:${name}`);
    },
    path: fileOf,
    partialPath: (digest) => path.join(paths.partialBlobs(roots), hexOf(digest)),
    temporaryPath,
    async removeTemporary() {
      for (const name of await readdir(paths.partialBlobs(roots))) {
        if (name.startsWith(TEMPORARY_PREFIX)) await rm(path.join(paths.partialBlobs(roots), name), { force: true });
      }
    },
    expirePartial: (inUse) => expire(paths.partialBlobs(roots), new Set([...inUse].map(hexOf))),
  };
}

export function digestOf(bytes: Uint8Array): string {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}

function hexOf(digest: string): string {
  const hex = /^sha256:([a-f0-9]{64})$/.exec(digest)?.[1];
  if (hex === undefined) throw new EngineError("invalid", `invalid digest: ${JSON.stringify(digest.slice(0, 100))}`);
  return hex;
}

async function expire(folder: string, inUse: ReadonlySet<string>): Promise<void> {
  const names = (await readdir(folder)).filter((name) => !inUse.has(name) && !name.startsWith(TEMPORARY_PREFIX));
  const files = await Promise.all(
    names.map(async (name) => {
      const stats = await statOrNothing(path.join(folder, name));
      return { name, size: stats?.size ?? 0, mtimeMs: stats?.mtimeMs ?? 0 };
    }),
  );
  let bytes = 0;
  for (const { name, size, mtimeMs } of files.toSorted((a, b) => b.mtimeMs - a.mtimeMs)) {
    bytes += size;
    if (bytes > MAX_PARTIAL_BYTES || Date.now() - mtimeMs > PARTIAL_KEPT_MS) await rm(path.join(folder, name), { force: true });
  }
}

async function statOrNothing(file: string): Promise<{ size: number; mtimeMs: number } | undefined> {
  try {
    return await stat(file);
  } catch (error) {
    if (codeOf(error) === "ENOENT") return undefined;
    throw error;
  }
}

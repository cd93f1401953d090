import { randomBytes } from "node:crypto";
import { chmod, chown, mkdir, open, rm, stat } from "node:fs/promises";
import path from "node:path";

import type { ChildPool } from "./child/pool.ts";
import type { LayerChange } from "./layers.ts";
import type { ChangesRequest } from "./pack/list-changes.ts";
import type { PackRequest, PackResult } from "./pack/pack-job.ts";

/** Work on layers' folders, most of it done by children. */

/** Hashes a folder's tar, and writes it where it is wanted. Short work may share a child with other. */
export async function packFolder(
  children: ChildPool,
  payload: PackRequest,
  { what, heavy }: { what: string; heavy: boolean },
  signal?: AbortSignal,
): Promise<PackResult> {
  // What packLayer of the same build gives back.
  return (await children.run({ kind: "pack", payload, what, heavy }, signal)) as PackResult;
}

/** What an upper folder changes of those below it. */
export async function changesIn(
  children: ChildPool,
  { upper, below }: { upper: string; below: string[] },
  what: string,
  signal?: AbortSignal,
): Promise<LayerChange[]> {
  const target = path.join(path.dirname(upper), `changes-${randomBytes(4).toString("hex")}`);
  const payload: ChangesRequest = { upper, below, target };
  try {
    await children.run({ kind: "changes", payload, what, heavy: false }, signal);
    const changes: LayerChange[] = [];
    await using file = await open(target);
    // Written by listChanges of the same build.
    for await (const line of file.readLines()) changes.push(JSON.parse(line) as LayerChange);
    return changes;
  } finally {
    await rm(target, { force: true });
  }
}

/** Makes a folder with the owner and mode of the one it will lie over: an overlay's root shows those of its topmost folder. */
export async function makeLike(folder: string, below: string | undefined): Promise<void> {
  const like = below === undefined ? { uid: 0, gid: 0, mode: 0o755 } : await stat(below);
  const mode = like.mode & 0o7777;
  await mkdir(folder, { mode });
  if (like.uid !== 0 || like.gid !== 0) await chown(folder, like.uid, like.gid);
  // mkdir takes neither setuid bits nor what the umask takes away.
  if (mode > 0o777 || (mode & process.umask()) !== 0) await chmod(folder, mode);
}

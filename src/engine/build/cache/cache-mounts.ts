import { createHash, randomBytes } from "node:crypto";
import { mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import path from "node:path";

import { codeOf } from "../../../base/errors.ts";
import { KeyedLock } from "../../../base/locks.ts";
import { formatTime, nowNs } from "../../../base/time.ts";
import { paths, type Roots } from "../../../store/roots.ts";
import { measureTree } from "../../../store/tree-size.ts";

/**
 * What `RUN --mount=type=cache` keeps between builds: a folder by the mount's id. Several steps may have it at once (`shared`), one after
 * another (`locked`), or each one of its own while others are busy (`private`). Its content is never part of an image or of a key.
 */
export interface CacheMounts {
  open(id: string, sharing: "shared" | "private" | "locked", signal: AbortSignal): Promise<HeldCacheMount>;
  /** All there are, by the names of their folders. */
  list(): Promise<KeptCacheMount[]>;
  /** Deletes one with what it holds, by the name of its folder. False when somebody uses it. */
  remove(name: string): Promise<boolean>;
}

export interface KeptCacheMount extends CacheMountUse {
  name: string;
  bytes: number;
  isInUse: boolean;
}

export interface HeldCacheMount {
  folder: string;
  /** Nobody has used it before. */
  isNew: boolean;
  release(): void;
}

/** What is kept beside the data, for those who look at or prune the cache. */
export interface CacheMountUse {
  id: string;
  created: string;
  lastUsed: string;
  uses: number;
}

export function openCacheMounts(roots: Roots): CacheMounts {
  const locks = new KeyedLock();
  const users = new Map<string, number>();

  /** While a mount is taken or thrown away. */
  const changing = new KeyedLock();
  const sizes = new Map<string, { uses: number; bytes: number }>();
  const homeOf = (name: string): string => path.join(paths.cacheMounts(roots), name);

  const hold = async (id: string): Promise<HeldCacheMount> => {
    const name = nameOf(id);
    users.set(id, (users.get(id) ?? 0) + 1);
    const isNew = await changing.run(name, () => prepare(homeOf(name), id));
    return {
      folder: path.join(homeOf(name), "data"),
      isNew,
      release: () => {
        const left = (users.get(id) ?? 1) - 1;
        if (left > 0) users.set(id, left);
        else users.delete(id);
      },
    };
  };

  /** What nobody writes to is measured once after each use; what is measured during one holds for that moment only. */
  const measure = async (name: string, { id, uses }: CacheMountUse): Promise<number> => {
    const known = sizes.get(name);
    if (known?.uses === uses && !users.has(id)) return known.bytes;
    const isUsed = users.has(id);
    const bytes = await measureTree(homeOf(name));
    if (!isUsed) sizes.set(name, { uses, bytes });
    return bytes;
  };

  return {
    async open(id, sharing, signal) {
      if (sharing === "shared") return hold(id);
      if (sharing === "private") {
        let number = 0;
        while (users.has(numbered(id, number))) number += 1;
        return hold(numbered(id, number));
      }
      const taken = Promise.withResolvers<HeldCacheMount>();
      const released = Promise.withResolvers<void>();
      void locks.run(id, async () => {
        if (signal.aborted) return taken.reject(signal.reason);
        try {
          const held = await hold(id);
          taken.resolve({ ...held, release: () => (held.release(), released.resolve()) });
        } catch (error) {
          taken.reject(error);
          return;
        }
        await released.promise;
      });
      return taken.promise;
    },

    async list() {
      const kept: KeptCacheMount[] = [];
      for (const name of await readdir(paths.cacheMounts(roots))) {
        const use = await readUse(homeOf(name));
        if (use !== undefined) kept.push({ ...use, name, bytes: await measure(name, use), isInUse: users.has(use.id) });
      }
      return kept;
    },

    async remove(name) {
      const unwanted = `${homeOf(name)}-${randomBytes(4).toString("hex")}`;
      const isFree = await changing.run(name, async () => {
        if ([...users.keys()].some((id) => nameOf(id) === name)) return false;
        // Without its record first: what a crash leaves of it, the next start deletes.
        await rm(path.join(homeOf(name), "use.json"), { force: true });
        await rename(homeOf(name), unwanted);
        return true;
      });
      if (isFree) await rm(unwanted, { recursive: true, force: true });
      return isFree;
    },
  };
}

/** Deletes what a crash left of a mount that was being removed. */
export async function sweepCacheMounts(roots: Roots): Promise<void> {
  for (const name of await readdir(paths.cacheMounts(roots))) {
    const home = path.join(paths.cacheMounts(roots), name);
    if ((await readUse(home)) === undefined) await rm(home, { recursive: true, force: true });
  }
}

/** Counts one more use of a mount, and makes it when it is not there: then it is new. */
async function prepare(home: string, id: string): Promise<boolean> {
  const use = await readUse(home);
  const now = formatTime(nowNs());
  await mkdir(path.join(home, "data"), { recursive: true, mode: 0o755 });
  const next: CacheMountUse = { id, created: use?.created ?? now, lastUsed: now, uses: (use?.uses ?? 0) + 1 };
  await writeFile(path.join(home, "use.json"), JSON.stringify(next), { mode: 0o600 });
  return use === undefined;
}

function nameOf(id: string): string {
  return createHash("sha256").update(id).digest("hex");
}

function numbered(id: string, number: number): string {
  return number === 0 ? id : `${id}#${number}`;
}

async function readUse(home: string): Promise<CacheMountUse | undefined> {
  try {
    // Written above.
    return JSON.parse(await readFile(path.join(home, "use.json"), "utf8")) as CacheMountUse;
  } catch (error) {
    if (codeOf(error) === "ENOENT" || error instanceof SyntaxError) return undefined;
    throw error;
  }
}

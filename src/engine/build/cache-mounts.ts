import { createHash } from "node:crypto";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import path from "node:path";

import { codeOf } from "../../base/errors.ts";
import { KeyedLock } from "../../base/locks.ts";
import { formatTime, nowNs } from "../../base/time.ts";
import { paths, type Roots } from "../../store/roots.ts";

/**
 * What `RUN --mount=type=cache` keeps between builds: a folder by the mount's id. Several steps may have it at once (`shared`), one after
 * another (`locked`), or each one of its own while others are busy (`private`). Its content is never part of an image or of a key.
 */
export interface CacheMounts {
  open(id: string, sharing: "shared" | "private" | "locked", signal: AbortSignal): Promise<HeldCacheMount>;
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

  const hold = async (id: string): Promise<HeldCacheMount> => {
    const home = path.join(paths.cacheMounts(roots), createHash("sha256").update(id).digest("hex"));
    const folder = path.join(home, "data");
    users.set(id, (users.get(id) ?? 0) + 1);
    const use = await readUse(home);
    const now = formatTime(nowNs());
    await mkdir(folder, { recursive: true, mode: 0o755 });
    const next: CacheMountUse = { id, created: use?.created ?? now, lastUsed: now, uses: (use?.uses ?? 0) + 1 };
    await writeFile(path.join(home, "use.json"), JSON.stringify(next), { mode: 0o600 });
    return {
      folder,
      isNew: use === undefined,
      release: () => {
        const left = (users.get(id) ?? 1) - 1;
        if (left > 0) users.set(id, left);
        else users.delete(id);
      },
    };
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
  };
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

import { lstat, readdir } from "node:fs/promises";
import path from "node:path";

/**
 * Bytes of all below `folder` but folders, as Docker counts: a symlink has those of the path it says. A file with several names counts once,
 * what goes away meanwhile not at all.
 */
export async function measureTree(folder: string): Promise<number> {
  const seen = new Set<string>();
  let total = 0;
  const waiting = [folder];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const current = next;
    const entries = await readdir(current, { withFileTypes: true }).catch(() => []);
    waiting.push(...entries.filter((entry) => entry.isDirectory()).map((entry) => path.join(current, entry.name)));
    for (const entry of entries) {
      if (entry.isDirectory()) continue;
      const status = await lstat(path.join(current, entry.name)).catch(() => undefined);
      if (status === undefined) continue;
      if (status.nlink > 1) {
        const key = `${status.dev}:${status.ino}`;
        if (seen.has(key)) continue;
        seen.add(key);
      }
      total += status.size;
    }
  }
  return total;
}

import { nowNs } from "../../../base/time.ts";
import type { Database } from "../../../store/database.ts";

/**
 * When and how often a step was found in the cache. Noted in memory and written in one go, at most once in WRITE_INTERVAL_MS, and not made
 * durable: a crash takes the last minute of it, and a build pays nothing.
 */
export interface StepUses {
  note(imageId: string): void;
  /** Undefined for a step that was never found again. */
  of(imageId: string): { lastUsedNs: bigint; uses: number } | undefined;
  close(): void;
}

const WRITE_INTERVAL_MS = 60_000;

export function openStepUses(database: Database): StepUses {
  const known = new Map<string, { lastUsedNs: bigint; uses: number }>();
  for (const row of database.sql.prepare("SELECT image, last_used_ns, uses FROM step_uses").all())
    known.set(String(row["image"]), { lastUsedNs: BigInt(String(row["last_used_ns"])), uses: Number(row["uses"]) });
  const changed = new Set<string>();
  let timer: NodeJS.Timeout | undefined;

  const write = (): void => {
    clearTimeout(timer);
    timer = undefined;
    if (changed.size === 0) return;
    database.write((sql) => {
      // One that was removed meanwhile has no row.
      const put = sql.prepare("INSERT OR REPLACE INTO step_uses (image, last_used_ns, uses) SELECT id, ?, ? FROM images WHERE id = ?");
      for (const id of changed) {
        const use = known.get(id);
        if (use !== undefined && put.run(String(use.lastUsedNs), use.uses, id).changes === 0) known.delete(id);
      }
    });
    changed.clear();
  };

  return {
    note(imageId) {
      known.set(imageId, { lastUsedNs: nowNs(), uses: (known.get(imageId)?.uses ?? 0) + 1 });
      changed.add(imageId);
      timer ??= setTimeout(write, WRITE_INTERVAL_MS).unref();
    },
    of: (imageId) => known.get(imageId),
    close: write,
  };
}

import type { Database } from "../../store/database.ts";

/**
 * Under which digests, and in which repositories, registries have a layer: what was pulled from them or pushed to them. With it a push asks
 * for a layer before it packs one, and has it mounted from another repository. Only a memory: a registry may have lost it since.
 */
export interface LayerDigests {
  /** The newest first. */
  of: (diffId: string) => KnownDigest[];
  add: (diffId: string, known: KnownDigest) => void;
  forget: (diffId: string, known: KnownDigest) => void;
  /** Forgets layers that are no longer here. */
  keepOnly: (diffIds: ReadonlySet<string>) => void;
}

export interface KnownDigest {
  digest: string;
  sizeBytes: number;
  /** `docker.io/library/busybox` */
  repository: string;
}

/** As Docker. */
const MAX_PER_LAYER = 100;

export function openLayerDigests(database: Database): LayerDigests {
  const { sql } = database;
  return {
    of(diffId) {
      const rows = sql.prepare("SELECT digest, bytes, repository FROM layer_digests WHERE diff_id = ? ORDER BY id DESC").all(diffId);
      return rows.map(({ digest, bytes, repository }) => ({
        digest: String(digest),
        sizeBytes: Number(bytes),
        repository: String(repository),
      }));
    },
    add(diffId, { digest, sizeBytes, repository }) {
      database.write(() => {
        sql.prepare("DELETE FROM layer_digests WHERE diff_id = ? AND digest = ? AND repository = ?").run(diffId, digest, repository);
        sql
          .prepare("INSERT INTO layer_digests (diff_id, digest, bytes, repository) VALUES (?, ?, ?, ?)")
          .run(diffId, digest, sizeBytes, repository);
        sql
          .prepare(
            "DELETE FROM layer_digests WHERE id IN (SELECT id FROM layer_digests WHERE diff_id = ? ORDER BY id DESC LIMIT -1 OFFSET ?)",
          )
          .run(diffId, MAX_PER_LAYER);
      });
    },
    forget(diffId, { digest, repository }) {
      database.write(() => {
        sql.prepare("DELETE FROM layer_digests WHERE diff_id = ? AND digest = ? AND repository = ?").run(diffId, digest, repository);
      });
    },
    keepOnly(diffIds) {
      const rows = sql.prepare("SELECT DISTINCT diff_id FROM layer_digests").all();
      const gone = rows.map((row) => String(row["diff_id"])).filter((diffId) => !diffIds.has(diffId));
      if (gone.length === 0) return;
      database.write(() => {
        const drop = sql.prepare("DELETE FROM layer_digests WHERE diff_id = ?");
        for (const diffId of gone) drop.run(diffId);
      });
    },
  };
}

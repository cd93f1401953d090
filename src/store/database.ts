import { closeSync, existsSync, fdatasync, openSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";

import { EngineError } from "../base/errors.ts";
import { openCheckpoints } from "./checkpoints.ts";
import { MIGRATIONS } from "./schema.ts";

/**
 * `state.db`: what the daemon must know after a crash. SQLite in WAL mode, one writer: the daemon.
 *
 * A commit is two steps, so that no disk wait ever blocks the event loop: `write` runs a transaction (0.03 ms; atomic, not yet durable)
 * and `durable` waits, in the thread pool, for one fdatasync of the WAL that covers every transaction committed before the call. Callers
 * that come while one fdatasync is under way share the next. Nothing may be acknowledged to a client before `durable` resolves.
 * synchronous=NORMAL leaves exactly that WAL sync to us; checkpoints, which sync inside SQLite, run at the start and in a thread
 * (checkpoints.ts).
 */
export interface Database {
  /** For reads, and inside `write` for changes. */
  readonly sql: DatabaseSync;
  /** Runs `change` as one transaction: all of it or, when it throws, nothing. */
  write<T>(change: (sql: DatabaseSync) => T): T;
  /** Resolves when everything written so far survives a power cut. */
  durable(): Promise<void>;
  close(): void;
}

/** Opens or makes the database and brings it to the newest version. A database of a newer program is refused. */
export function openDatabase(file: string): Database {
  const sql = new DatabaseSync(file);
  sql.exec(
    "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA foreign_keys=ON; PRAGMA wal_autocheckpoint=0; PRAGMA busy_timeout=1000",
  );
  migrate(sql, file);
  sql.exec("PRAGMA wal_checkpoint(TRUNCATE)");
  const flush = openFlush(`${file}-wal`);
  const checkpoints = openCheckpoints(file, flush.descriptor);

  return {
    sql,
    write(change) {
      sql.exec("BEGIN IMMEDIATE");
      try {
        const result = change(sql);
        sql.exec("COMMIT");
        checkpoints.wrote();
        return result;
      } catch (error) {
        // A full disk has rolled it back already.
        if (sql.isTransaction) sql.exec("ROLLBACK");
        throw isFull(error) ? new EngineError("system", `writing ${file}: no space left on device`, { cause: error }) : error;
      }
    },
    durable: flush.wait,
    close() {
      checkpoints.close();
      flush.close();
      sql.close();
    },
  };
}

const SQLITE_FULL = 13;

function isFull(error: unknown): boolean {
  return error instanceof Error && "errcode" in error && error.errcode === SQLITE_FULL;
}

function migrate(sql: DatabaseSync, file: string): void {
  const row = sql.prepare("PRAGMA user_version").get();
  const version = Number(row?.["user_version"] ?? 0);
  if (version > MIGRATIONS.length) {
    throw new EngineError(
      "system",
      `opening ${file}: it was written by a newer Tsubo (schema ${version}, this program knows ${MIGRATIONS.length}): start that version again, or use another --data-root`,
    );
  }
  for (const [index, migration] of MIGRATIONS.entries()) {
    if (index >= version) sql.exec(`BEGIN IMMEDIATE; ${migration}; PRAGMA user_version=${index + 1}; COMMIT`);
  }
}

/** Group commit: at most one fdatasync under way, at most one waiting that all newcomers share. */
function openFlush(walFile: string): { descriptor: number; wait: () => Promise<void>; close: () => void } {
  if (!existsSync(walFile)) closeSync(openSync(walFile, "a"));
  const fd = openSync(walFile, "r+");
  let running: Promise<void> | undefined;
  let next: Promise<void> | undefined;
  const sync = (): Promise<void> =>
    new Promise((resolve, reject) => {
      fdatasync(fd, (error) => (error ? reject(error) : resolve()));
    });
  const run = (): Promise<void> => {
    next = undefined;
    running = sync().finally(() => {
      running = undefined;
    });
    return running;
  };
  return {
    descriptor: fd,
    wait: () => {
      if (running === undefined) return run();
      next ??= running.then(run, run);
      return next;
    },
    close: () => closeSync(fd),
  };
}

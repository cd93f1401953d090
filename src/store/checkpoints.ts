import { fstatSync } from "node:fs";
import { Worker } from "node:worker_threads";

/**
 * Moves what is in the WAL into the database, so that the WAL does not grow for as long as the daemon runs. All of it is done by a
 * connection of its own in a thread: the copying with its two syncs beside reads and writes (`PASSIVE`), then the cut, and a write of
 * nothing, for SQLite syncs the header of a WAL that begins anew in the first write to it. Only that last moment keeps other writes
 * waiting; so it is done when none has come for a while.
 */
export interface Checkpoints {
  /** To be called after a write. */
  wrote(): void;
  close(): void;
}

/** A container from create to remove is about 100 KB. */
const ENOUGH_BYTES = 4 * 1024 * 1024;
/** Then a quiet moment is not waited for. */
const TOO_MUCH_BYTES = 64 * 1024 * 1024;
const QUIET_MS = 2000;

export function openCheckpoints(file: string, walDescriptor: number): Checkpoints {
  let timer: NodeJS.Timeout | undefined;
  let isWorking = false;
  let isClosed = false;

  const work = async (): Promise<void> => {
    isWorking = true;
    await checkpointInThread(file);
    isWorking = false;
  };

  return {
    wrote() {
      if (isWorking || isClosed) return;
      const { size } = fstatSync(walDescriptor);
      if (size < ENOUGH_BYTES) return;
      clearTimeout(timer);
      if (size > TOO_MUCH_BYTES) void work();
      else timer = setTimeout(() => void work(), QUIET_MS).unref();
    },
    close() {
      isClosed = true;
      clearTimeout(timer);
    },
  };
}

const IN_THREAD = `
  const { workerData } = require("node:worker_threads");
  const { DatabaseSync } = require("node:sqlite");
  const sql = new DatabaseSync(workerData);
  sql.exec("PRAGMA busy_timeout=1000; PRAGMA synchronous=NORMAL; PRAGMA wal_checkpoint(PASSIVE); PRAGMA wal_checkpoint(TRUNCATE)");
  const { user_version: version } = sql.prepare("PRAGMA user_version").get();
  sql.exec("PRAGMA user_version=" + version);
  sql.close();
`;

/** Resolves when it is done, or could not be: the next one will. */
function checkpointInThread(file: string): Promise<void> {
  return new Promise((resolve) => {
    const worker = new Worker(IN_THREAD, { eval: true, workerData: file });
    worker.once("error", () => resolve());
    worker.once("exit", () => resolve());
    worker.unref();
  });
}

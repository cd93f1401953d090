import { checked, libc } from "./ffi.ts";
import { reapAny } from "./spawn.ts";

/**
 * The reaper: makes this process the parent of every orphan below it, and collects every child that ends.
 *
 * Everything must be collected, not only what we know: a failed `crun exec` leaves an orphan in the container's pid namespace as our
 * zombie, and a container's init that is killed then hangs in the kernel (zap_pid_ns_processes) until the zombie is gone. So this uses
 * waitpid(-1), and a process with a reaper must never use node:child_process, whose `exit` events would not come.
 *
 * A runtime tells the pid of a container's process after it was started, so it may have ended before we know it: unclaimed statuses are
 * kept for a while. `mark` before a start and `since` in the claim keep an earlier process that had the same pid out of it.
 */
export interface Reaper extends Disposable {
  /** A point in time for `claim`. */
  mark(): number;
  /** The wait status of our child `pid`, as soon as it has ended. Only what was collected after `since` counts. */
  claim(pid: number, since: number): Promise<number>;
}

const PR_SET_CHILD_SUBREAPER = 36;
const UNCLAIMED_MS = 60_000;
const UNCLAIMED_LIMIT = 4096;

const prctl = libc("int prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d)");

export function openReaper(): Reaper {
  checked("prctl", prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), "PR_SET_CHILD_SUBREAPER");
  let turn = 0;
  const claims = new Map<number, (status: number) => void>();
  const unclaimed = new Map<number, { status: number; turn: number; atMs: number }>();

  const collect = (): void => {
    for (let ended = reapAny(); ended !== undefined; ended = reapAny()) {
      turn += 1;
      const claim = claims.get(ended.pid);
      if (claim === undefined) {
        unclaimed.delete(ended.pid);
        unclaimed.set(ended.pid, { status: ended.status, turn, atMs: performance.now() });
      } else {
        claims.delete(ended.pid);
        claim(ended.status);
      }
    }
    const oldMs = performance.now() - UNCLAIMED_MS;
    for (const [pid, status] of unclaimed) {
      if (status.atMs > oldMs && unclaimed.size <= UNCLAIMED_LIMIT) break;
      unclaimed.delete(pid);
    }
  };
  process.on("SIGCHLD", collect);

  return {
    mark: () => turn,
    claim: (pid, since) => {
      collect();
      const known = unclaimed.get(pid);
      unclaimed.delete(pid);
      if (known !== undefined && known.turn > since) return Promise.resolve(known.status);
      const { promise, resolve } = Promise.withResolvers<number>();
      claims.set(pid, resolve);
      return promise;
    },
    [Symbol.dispose]: () => process.off("SIGCHLD", collect),
  };
}

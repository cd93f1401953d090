import { checkedAsync, libc, SystemCallError } from "./ffi.ts";

/**
 * Starting processes by posix_spawn: it blocks the loop for 1 ms where Node's child_process, which forks, takes 4–14 in a process of our
 * size. The child gets a session of its own, every signal at its default (Node ignores SIGPIPE, which a plain posix_spawn would pass on)
 * and unblocked, and of our descriptors only the three named: all others are close-on-exec, by the rule of `kernel/`.
 *
 * Nobody but `reaper.ts` (in the keeper) or `reapChild` (elsewhere) collects such a child; libuv does not know of it.
 */
export interface SpawnOptions {
  /** Absolute path of the program. */
  path: string;
  /** With argv[0]. */
  argv: readonly string[];
  environment: Readonly<Record<string, string>>;
  /** The descriptors that become 0, 1 and 2. */
  stdio: readonly [number, number, number];
}

/** Room for glibc's and musl's `posix_spawnattr_t` (336 bytes) and `posix_spawn_file_actions_t` (80), with space to grow. */
const OPAQUE_BYTES = 512;
const SIGSET_BYTES = 128;

const SETSIGDEF = 0x04;
const SETSIGMASK = 0x08;
const SETSID = 0x80;
const WNOHANG = 1;

const posixSpawn = libc(
  "int posix_spawn(_Out_ int *pid, const char *path, uint8_t *actions, uint8_t *attributes, const char **argv, const char **envp)",
);
const attributesInit = libc("int posix_spawnattr_init(uint8_t *attributes)");
const attributesDestroy = libc("int posix_spawnattr_destroy(uint8_t *attributes)");
const setFlags = libc("int posix_spawnattr_setflags(uint8_t *attributes, short flags)");
const setDefaults = libc("int posix_spawnattr_setsigdefault(uint8_t *attributes, uint8_t *set)");
const setMask = libc("int posix_spawnattr_setsigmask(uint8_t *attributes, uint8_t *set)");
const actionsInit = libc("int posix_spawn_file_actions_init(uint8_t *actions)");
const actionsDestroy = libc("int posix_spawn_file_actions_destroy(uint8_t *actions)");
const addDup2 = libc("int posix_spawn_file_actions_adddup2(uint8_t *actions, int from, int to)");
const sigfillset = libc("int sigfillset(uint8_t *set)");
const waitpid = libc("int waitpid(int pid, _Out_ int *status, int options)");

/** Starts a process and gives its pid. Throws what the kernel says when the program cannot be run (`ENOENT`, `EACCES`, …). */
export function spawnProcess(options: SpawnOptions): number {
  using call = prepare(options);
  return call.pidAfter(posixSpawn(...call.args));
}

/** The same in the thread pool: the caller of posix_spawn sleeps until the child has a core and its program is read from the disk. */
export async function spawnProcessAsync(options: SpawnOptions): Promise<number> {
  using call = prepare(options);
  return call.pidAfter(await checkedAsync("posix_spawn", posixSpawn, call.args, options.path));
}

interface PreparedCall extends Disposable {
  args: unknown[];
  /** posix_spawn gives the error number back; errno is not its way. */
  pidAfter: (failure: number) => number;
}

function prepare({ path, argv, environment, stdio }: SpawnOptions): PreparedCall {
  const attributes = Buffer.alloc(OPAQUE_BYTES);
  const actions = Buffer.alloc(OPAQUE_BYTES);
  const noSignals = Buffer.alloc(SIGSET_BYTES);
  const allSignals = Buffer.alloc(SIGSET_BYTES);
  sigfillset(allSignals);
  attributesInit(attributes);
  actionsInit(actions);
  setFlags(attributes, SETSIGDEF | SETSIGMASK | SETSID);
  setDefaults(attributes, allSignals);
  setMask(attributes, noSignals);
  stdio.forEach((from, to) => addDup2(actions, from, to));
  const variables = Object.entries(environment).map(([name, value]) => `${name}=${value}`);
  const pid = [0];
  return {
    args: [pid, path, actions, attributes, [...argv, null], [...variables, null]],
    pidAfter: (failure) => {
      if (failure !== 0) throw new SystemCallError("posix_spawn", failure, path);
      return pid[0] ?? 0;
    },
    [Symbol.dispose]: () => {
      attributesDestroy(attributes);
      actionsDestroy(actions);
    },
  };
}

/** Collects one child of ours if it has ended: its wait status, else undefined. For processes that must not use waitpid(-1). */
export function reapChild(pid: number): number | undefined {
  const status = [0];
  return waitpid(pid, status, WNOHANG) === pid ? status[0] : undefined;
}

/** Collects any child that has ended; undefined when there is none. Steals libuv's children: only for a process without any. */
export function reapAny(): { pid: number; status: number } | undefined {
  const status = [0];
  const pid: number = waitpid(-1, status, WNOHANG);
  return pid > 0 ? { pid, status: status[0] ?? 0 } : undefined;
}

import koffi, { type LibraryHandle } from "koffi";

/**
 * The one file that uses koffi. Everything the kernel offers and Node does not is declared in `kernel/` through `libc(prototype)`;
 * `checked` turns a -1 into an error with the kernel's own name for it.
 *
 * A call runs on the calling JavaScript thread and takes about a microsecond; `.async` variants run in the libuv pool. Pointers to
 * structs are Buffers that the caller keeps referenced until the call returns.
 */

const library = koffi.load(null);
const errnoLocation = library.func("void *__errno_location()") as () => bigint;
const threadErrno = new Int32Array(koffi.view(errnoLocation(), Int32Array.BYTES_PER_ELEMENT));
let lastErrno = 0;

/** A function of the C library (or of another library that is loaded), declared by its C prototype. */
export type NativeFunction = ReturnType<LibraryHandle["func"]>;

/**
 * Declares a function of the process's own C library, e.g. `libc("int umount2(const char *target, int flags)")`.
 *
 * errno is read in the same breath as the call: V8's locks are futexes, so whatever JavaScript runs in between (a function's entry may
 * install compiled code) can leave an EAGAIN of its own there.
 */
export function libc(prototype: string): NativeFunction {
  const native = library.func(prototype);
  const call = (...args: unknown[]): unknown => {
    const result: unknown = native(...args);
    if ((result as number) < 0) lastErrno = threadErrno[0] ?? 0;
    return result;
  };
  return Object.assign(call, native);
}

/** Loads another shared library; undefined where it is not installed. */
export function loadLibrary(name: string): { func: (prototype: string) => NativeFunction } | undefined {
  try {
    const loaded = koffi.load(name);
    return { func: (prototype) => loaded.func(prototype) };
  } catch {
    return undefined;
  }
}

/** The address of a Buffer's bytes, for a pointer inside a struct. */
export function addressOf(buffer: Uint8Array): bigint {
  return koffi.address(buffer);
}

/** errno as this thread's last call of the C library that gave something negative left it. */
export function errno(): number {
  return lastErrno;
}

const ERRNO_NAMES = new Map(Object.entries(koffi.os.errno).map(([name, value]) => [value, name]));

/** An error of a system call: `code` is the kernel's name (`ENOENT`), `errno` the number. */
export class SystemCallError extends Error {
  readonly code: string;
  readonly errno: number;
  readonly call: string;

  constructor(call: string, number: number, what: string) {
    const code = ERRNO_NAMES.get(number) ?? `errno ${number}`;
    super(`${call} ${what}: ${code}`);
    this.name = "SystemCallError";
    this.code = code;
    this.errno = number;
    this.call = call;
  }
}

/** Gives back `result`, or throws what errno says when it is negative. `what` names the object the call was about. */
export function checked(call: string, result: number, what: string): number {
  if (result < 0) throw new SystemCallError(call, errno(), what);
  return result;
}

/** Runs a call in the libuv pool, for calls that may wait for a disk; rejects like `checked` throws. */
export function checkedAsync(call: string, native: NativeFunction, args: unknown[], what: string): Promise<number> {
  return new Promise((resolve, reject) => {
    native.async(...args, (error: unknown, result: number) => {
      // koffi makes the pool thread's errno this one's for the length of the callback.
      const number = threadErrno[0] ?? 0;
      if (error) reject(error instanceof Error ? error : new Error(`${call} ${what}`, { cause: error }));
      else if (result < 0) reject(new SystemCallError(call, number, what));
      else resolve(result);
    });
  });
}

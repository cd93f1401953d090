import { codeOf, messageOf } from "../../base/errors.ts";
import { writeSync } from "node:fs";
import { isatty } from "node:tty";

/**
 * Standard output and standard error, written synchronously: a command's output is on its way before the process exits, and process.stdout,
 * which takes 2 ms to make, is never touched.
 */

const STDOUT = 1;
const STDERR = 2;
/** The exit status of a program that SIGPIPE ended, as a shell shows it. */
const EXIT_SIGPIPE = 141;
/** Pause between two tries on a full pipe that somebody made non-blocking, in milliseconds. */
const FULL_PIPE_PAUSE_MS = 1;

export function print(text: string): void {
  writeAll(STDOUT, Buffer.from(text));
}

export function printLine(text: string): void {
  print(`${text}\n`);
}

/** One line on standard error. */
export function warn(text: string): void {
  writeAll(STDERR, Buffer.from(`${text}\n`));
}

export function isTerminal(descriptor: 0 | 1 | 2): boolean {
  return isatty(descriptor);
}

/** Writes all of `data`. A reader that went away ends the process quietly, as SIGPIPE would. */
export function writeAll(descriptor: 1 | 2, data: Uint8Array): void {
  for (let offset = 0; offset < data.length;) {
    try {
      offset += writeSync(descriptor, data, offset);
    } catch (error) {
      const code = codeOf(error);
      if (code === "EPIPE") process.exit(EXIT_SIGPIPE);
      if (code !== "EAGAIN")
        throw new Error(`write ${descriptor === STDOUT ? "/dev/stdout" : "/dev/stderr"}: ${messageOf(error)}`, { cause: error });
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, FULL_PIPE_PAUSE_MS);
    }
  }
}

import type { Socket } from "node:net";
import { writeAll } from "../output/print.ts";
import { DEFAULT_DETACH_KEYS, detachKeyFilter, parseDetachKeys } from "./detach-keys.ts";
import { frameReader } from "./frames.ts";
import { CommandFailure } from "../failure.ts";
import { makeRaw } from "./terminal.ts";

/**
 * Our standard streams joined to those of a container or exec, over a hijacked connection.
 *
 * With a terminal the bytes go through as they are and ours is raw meanwhile; without one the output is framed. The end of our input
 * half-closes the connection, output goes on until the engine ends it.
 */
export type Wiring = {
  readonly stdin: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
  readonly tty: boolean;
  readonly detachKeys: string;
};

/** Refuses a terminal for the container where ours is none, before anything is made. */
export function checkTerminal(attachStdin: boolean, tty: boolean): void {
  if (attachStdin && tty && !process.getBuiltinModule("node:tty").isatty(0)) throw new CommandFailure("the input device is not a TTY");
}

/** Carries the streams until the output ends, the detach keys are typed, or `stop` says that there is nothing to wait for. */
export function joinStreams(socket: Socket, wiring: Wiring, stop?: AbortSignal): Promise<"ended" | "detached"> {
  let restore = (): void => undefined;
  const done = new Promise<"ended" | "detached">((resolve, reject) => {
    socket.on("error", (error: NodeJS.ErrnoException) =>
      error.code === "ECONNRESET" || error.code === "EPIPE" ? resolve("ended") : reject(error),
    );
    socket.on("close", () => resolve("ended"));
    stop?.addEventListener("abort", () => resolve("ended"));
    readOutput(socket, wiring, resolve, reject);
    if (!wiring.stdin) {
      socket.end();
      return;
    }
    if (wiring.tty) restore = makeRaw();
    const filter = wiring.tty ? detachKeyFilter(keysOf(wiring.detachKeys)) : undefined;
    process.stdin.on("data", (typed: Buffer) => {
      const passed = filter === undefined ? typed : filter(typed);
      if (passed === undefined) resolve("detached");
      else if (!socket.write(passed)) {
        process.stdin.pause();
        socket.once("drain", () => process.stdin.resume());
      }
    });
    process.stdin.on("error", () => socket.end());
    process.stdin.on("end", () => {
      socket.end();
      if (!wiring.stdout && !wiring.stderr) resolve("ended");
    });
  });
  return done.finally(() => {
    restore();
    if (wiring.stdin) process.stdin.pause();
    socket.destroy();
  });
}

function readOutput(socket: Socket, wiring: Wiring, end: (how: "ended") => void, fail: (error: Error) => void): void {
  const stdout = (data: Uint8Array): void => {
    if (wiring.stdout) writeAll(1, data);
  };
  const stderr = (data: Uint8Array): void => {
    if (wiring.stderr) writeAll(2, data);
  };
  const read = wiring.tty ? stdout : frameReader({ stdout, stderr });
  socket.on("data", (chunk: Buffer) => {
    try {
      read(chunk);
    } catch (error) {
      fail(error instanceof Error ? error : new Error(String(error)));
    }
  });
  socket.on("end", () => end("ended")).resume();
}

function keysOf(text: string): number[] {
  try {
    return parseDetachKeys(text || DEFAULT_DETACH_KEYS);
  } catch {
    return parseDetachKeys(DEFAULT_DETACH_KEYS);
  }
}

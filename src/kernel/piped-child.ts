import { closeSync } from "node:fs";
import { Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

import { createPipe } from "./fifo.ts";
import { reapChild, spawnProcessAsync } from "./spawn.ts";

/** A child with pipes as its standard input and output, in place of Node's child_process, whose fork stops the event loop. */
export interface PipedChild {
  /** Takes what is written at once; the child reads it when it is there. */
  readonly input: Socket;
  readonly output: Socket;
  kill(): void;
  /** Its wait status, once it has ended and was collected. Rejects when it could not be started. */
  readonly ended: Promise<number>;
}

/** The end of a child's output is its own end, or a moment before. */
const REAP_INTERVAL_MS = 5;

export function startPipedChild(options: { path: string; argv: string[]; environment: Record<string, string> }): PipedChild {
  const toChild = createPipe();
  const fromChild = createPipe();
  const input = new Socket({ fd: toChild.writer, readable: false, writable: true });
  const output = new Socket({ fd: fromChild.reader, readable: true, writable: false });
  let pid: number | undefined;
  let isUnwanted = false;

  const live = async (): Promise<number> => {
    try {
      const closed = new Promise((resolve) => output.once("close", resolve));
      const started = await start(options, toChild.reader, fromChild.writer);
      pid = started;
      if (isUnwanted) process.kill(started, "SIGKILL");
      await closed;
      return await collect(started);
    } finally {
      pid = undefined;
      input.destroy();
      output.destroy();
    }
  };
  return {
    input,
    output,
    kill() {
      isUnwanted = true;
      if (pid !== undefined) process.kill(pid, "SIGKILL");
    },
    ended: live(),
  };
}

/** The child's ends of the pipes are closed here once it has them. */
async function start(
  options: { path: string; argv: string[]; environment: Record<string, string> },
  reader: number,
  writer: number,
): Promise<number> {
  try {
    return await spawnProcessAsync({ ...options, stdio: [reader, writer, 2] });
  } finally {
    closeSync(reader);
    closeSync(writer);
  }
}

async function collect(pid: number): Promise<number> {
  for (;;) {
    const status = reapChild(pid);
    if (status !== undefined) return status;
    await sleep(REAP_INTERVAL_MS);
  }
}

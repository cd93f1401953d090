import { closeSync } from "node:fs";
import { Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

import { createPipe } from "./fifo.ts";
import { reapChild, spawnProcess } from "./spawn.ts";

/** A child with pipes as its standard input and output, in place of Node's child_process, whose fork stops the event loop. */
export interface PipedChild {
  readonly input: Socket;
  readonly output: Socket;
  kill(): void;
  /** Its wait status, once it has ended and was collected. */
  readonly ended: Promise<number>;
}

/** The end of a child's output is its own end, or a moment before. */
const REAP_INTERVAL_MS = 5;

export function startPipedChild(options: { path: string; argv: string[]; environment: Record<string, string> }): PipedChild {
  const toChild = createPipe();
  const fromChild = createPipe();
  let pid: number;
  try {
    pid = spawnProcess({ ...options, stdio: [toChild.reader, fromChild.writer, 2] });
  } catch (error) {
    closeSync(toChild.writer);
    closeSync(fromChild.reader);
    throw error;
  } finally {
    closeSync(toChild.reader);
    closeSync(fromChild.writer);
  }
  const input = new Socket({ fd: toChild.writer, readable: false, writable: true });
  const output = new Socket({ fd: fromChild.reader, readable: true, writable: false });
  const closed = new Promise((resolve) => output.once("close", resolve));
  let isCollected = false;

  const collect = async (): Promise<number> => {
    await closed;
    for (let status = reapChild(pid); ; status = reapChild(pid)) {
      if (status !== undefined) {
        isCollected = true;
        input.destroy();
        return status;
      }
      await sleep(REAP_INTERVAL_MS);
    }
  };
  return {
    input,
    output,
    kill: () => void (isCollected || process.kill(pid, "SIGKILL")),
    ended: collect(),
  };
}

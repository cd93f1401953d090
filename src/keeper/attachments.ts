import type { Socket } from "node:net";
import { frameHeader } from "./frames.ts";
import type { AttachOptions, Target } from "./keeper.ts";
import type { TargetIo } from "./target-io.ts";

/** How many clients may wait for targets to start. */
const WAITING_LIMIT = 4096;

interface Waiting {
  socket: Socket;
  options: AttachOptions;
}

/** Clients that came before their target started: `docker run` attaches first. */
export class Attachments {
  readonly #waiting = new Map<string, Set<Waiting>>();
  #count = 0;

  /** Keeps a client until its target starts, fails to, or the client goes. False: there are too many. */
  wait(target: Target, socket: Socket, options: AttachOptions): boolean {
    if (this.#count >= WAITING_LIMIT) return false;
    const key = targetKey(target);
    const waiting: Waiting = { socket, options };
    const set = this.#waiting.get(key) ?? new Set();
    this.#waiting.set(key, set.add(waiting));
    this.#count += 1;
    socket.on("close", () => {
      if (!set.delete(waiting)) return;
      this.#count -= 1;
      if (set.size === 0 && this.#waiting.get(key) === set) this.#waiting.delete(key);
    });
    return true;
  }

  /** The target runs: its clients join it. */
  join(target: Target, io: TargetIo): void {
    for (const { socket, options } of this.#take(target)) io.attach(socket, options);
  }

  /** The target did not start: its clients get `text` as its output, if any, and the end. */
  end(target: Target, text?: string, tty?: boolean): void {
    for (const { socket } of this.#take(target)) {
      if (text !== undefined) {
        const bytes = Buffer.from(text);
        if (tty !== true) socket.write(frameHeader("stdout", bytes.length));
        socket.write(bytes);
      }
      socket.end();
      socket.resume();
    }
  }

  /** There is no daemon any more that could start their targets. */
  endAll(): void {
    for (const set of this.#waiting.values()) for (const { socket } of set) socket.destroy();
  }

  #take(target: Target): Waiting[] {
    const key = targetKey(target);
    const set = this.#waiting.get(key);
    this.#waiting.delete(key);
    const taken = [...(set ?? [])];
    set?.clear();
    this.#count -= taken.length;
    return taken;
  }
}

function targetKey({ containerId, execId }: Target): string {
  return execId === undefined ? containerId : `${containerId}/${execId}`;
}

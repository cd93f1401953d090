import { type FSWatcher, watch } from "node:fs";
import path from "node:path";

/** However still it is, a follower looks again after this time: inotify tells nothing on some file systems, and may have no watch left. */
const LOOK_AGAIN_MS = 1000;

/**
 * Wakes a reader when its log grows, is rotated, or is complete. It watches the folder, so that it sees both the file that is written and
 * the one that replaces it.
 */
export class LogWatch {
  readonly #watcher: FSWatcher | undefined;
  readonly #abort = new AbortController();
  #changed = false;
  #wake: () => void = () => undefined;

  /** Calls `onRotation` when a file of the log gets another name, also while nobody waits. `signals` wake as well. */
  constructor(logPath: string, signals: readonly AbortSignal[], onRotation: () => void) {
    const name = path.basename(logPath);
    try {
      this.#watcher = watch(path.dirname(logPath), (event, changed) => {
        if (changed !== null && !changed.startsWith(name)) return;
        if (event === "rename") onRotation();
        this.notify();
      });
      this.#watcher.on("error", () => this.#watcher?.close());
    } catch {
      // No watch to be had: the reader looks again by the clock.
    }
    for (const signal of signals) signal.addEventListener("abort", () => this.notify(), { signal: this.#abort.signal });
  }

  notify(): void {
    this.#changed = true;
    this.#wake();
  }

  /** Resolves when something has happened since it last did. */
  async wait(): Promise<void> {
    if (!this.#changed) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, LOOK_AGAIN_MS);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    this.#changed = false;
  }

  close(): void {
    this.#abort.abort();
    this.#watcher?.close();
    this.notify();
  }
}

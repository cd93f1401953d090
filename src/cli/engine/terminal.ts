import { isTerminal, warn } from "../output/print.ts";
import type { Client } from "./client.ts";

/**
 * The terminal at our end of a container's: raw while attached, and its size passed on.
 *
 * Node restores the terminal's settings itself on every way out (exit, SIGINT, SIGTERM), so only the return to cooked mode before more
 * output is ours to do.
 */

/** How often the first resize is tried again (a terminal that just started may refuse it), each pause this much longer than the last. */
const RESIZE_TRIES = 10;
const RESIZE_PAUSE_MS = 10;

/** Makes the terminal raw. Gives the way back, which may be called more than once. */
export function makeRaw(): () => void {
  process.stdin.setRawMode(true);
  // Node's raw mode leaves output processing on: a bare line feed of a full-screen program would also return the carriage.
  process.getBuiltinModule("node:child_process").spawnSync("stty", ["-opost"], { stdio: ["inherit", "ignore", "ignore"] });
  return () => {
    if (process.stdin.isRaw) process.stdin.setRawMode(false);
  };
}

/** Height and width of the terminal on standard output; zeros when it is none. */
export function terminalSize(): readonly [height: number, width: number] {
  // process.stdout takes 2 ms to make.
  if (!isTerminal(1)) return [0, 0];
  const { columns, rows } = process.stdout;
  return [rows, columns];
}

/**
 * Sets a container's or an exec's terminal to our size, now and whenever ours changes. `redraw` makes it another size first: a program that
 * runs already sees a change only so, and draws itself anew.
 */
export function followTerminalSize(client: Client, target: { container: string } | { exec: string }, { redraw = false } = {}): void {
  const resize = async (more = 0): Promise<void> => {
    const [height, width] = terminalSize();
    if (height === 0 && width === 0) return;
    const [h, w] = [height + more, width + more];
    const path = "container" in target ? `/containers/${target.container}/resize` : `/exec/${target.exec}/resize`;
    await client.text("POST", path, { query: { h, w } });
  };
  const first = async (): Promise<void> => {
    if (redraw) await resize(1).catch(() => undefined);
    for (let attempt = 0; attempt <= RESIZE_TRIES; attempt += 1) {
      try {
        await resize();
        return;
      } catch {
        await new Promise((resolve) => setTimeout(resolve, RESIZE_PAUSE_MS * (attempt + 1)));
      }
    }
    warn("failed to resize tty, using default size");
  };
  void first();
  process.stdout.on("resize", () => void resize().catch(() => undefined));
}

import { isTerminal, warn, writeAll } from "../output/print.ts";
import { formatSize } from "../output/units.ts";

/** How far a copy is, on a line of standard error that is drawn anew, where that is a terminal. */
export type CopyProgress = { add(bytes: number): void; done(): void; tell(where: string): void };

const PAUSE_MS = 75;
const [SAVE, RESTORE, ERASE, HIDE, SHOW] = ["\x1b[s", "\x1b[u", "\x1b[2K", "\x1b[?25l", "\x1b[?25h"];

export function openProgress(header: string, { isQuiet }: { isQuiet: boolean }): CopyProgress {
  let bytes = 0;
  let drawn = performance.now();
  const isShown = !isQuiet && isTerminal(2);
  const write = (text: string): void => {
    if (isShown) writeAll(2, Buffer.from(text));
  };
  const text = (): string => formatSize(bytes, 3);
  const draw = (): void => write(`${RESTORE}${ERASE}${header}${text()}`);
  write(`${SAVE}Preparing to copy...${HIDE}`);
  draw();
  return {
    add(more) {
      bytes += more;
      if (performance.now() - drawn < PAUSE_MS) return;
      drawn = performance.now();
      draw();
    },
    done: () => write(`${SHOW}${RESTORE}${ERASE}`),
    tell(where) {
      if (!isQuiet) warn(`Successfully copied ${text()} to ${where}`);
    },
  };
}

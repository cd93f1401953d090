import { isTerminal } from "../output/print.ts";
import { progressText } from "../output/progress.ts";

/** How often a terminal is told how far it is. */
const UPDATE_MS = 100;

export type Transfer = {
  /** Passes data on, counting it. */
  pass(data: AsyncIterable<string | Uint8Array> | Iterable<Uint8Array>): AsyncGenerator<Uint8Array>;
  /** Says how much it was, once, if it was anything; the end of the data says it too. */
  finish(): void;
};

/** Shows how much data goes through: as it goes on a terminal, and once it is through. */
export function watchTransfer(what: string, write: (text: string) => void, total = 0): Transfer {
  const isWatched = isTerminal(1);
  let [bytes, shownAt, finished] = [0, Date.now(), false];
  const show = (end: string): void => write(`${what} ${progressText({ progressDetail: { current: bytes, total } })}${end}`);
  const finish = (): void => {
    if (!finished && bytes > 0) show("\r\r\n");
    finished = true;
  };
  return {
    finish,
    async *pass(data) {
      for await (const piece of data) {
        const chunk = typeof piece === "string" ? Buffer.from(piece) : piece;
        bytes += chunk.length;
        if (isWatched && Date.now() - shownAt > UPDATE_MS) {
          show("\r");
          shownAt = Date.now();
        }
        yield chunk;
      }
      finish();
    },
  };
}

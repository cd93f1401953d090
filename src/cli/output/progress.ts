import type { Readable } from "node:stream";
import { CommandFailure } from "../failure.ts";
import { eachLine } from "../engine/lines.ts";
import { formatSize } from "./units.ts";
import { isTerminal, writeAll } from "./print.ts";

/**
 * The progress stream of a pull, push or import: JSON objects, one a line. On a terminal every layer keeps one line that is redrawn; piped,
 * only the steps are printed, without the bars.
 */

type Message = {
  readonly id?: string;
  readonly status?: string;
  readonly stream?: string;
  readonly progressDetail?: { readonly current?: number; readonly total?: number; readonly hidecounts?: boolean; readonly units?: string };
  readonly error?: string;
  readonly errorDetail?: { readonly code?: number; readonly message?: string; readonly excerpt?: string };
  readonly aux?: unknown;
};

/** The bar needs this much room; a narrower terminal shows numbers only. */
const BAR_MIN_COLUMNS = 110;
const BAR_WIDTH = 50;
/** Taken for the width where there is no terminal. */
const UNKNOWN_COLUMNS = 200;

/** Where a stream is shown: a descriptor, or whoever takes the text. */
export type Target = 1 | 2 | ((text: string) => void);

/** Who hears of parts of a stream beside where it is shown. */
export type Listeners = { readonly onAux?: (aux: unknown) => void; readonly onText?: (text: string) => void };

/** Shows the stream, or only waits for its end, and throws the error it may end with. */
export async function showProgress(body: Readable, to: Target | undefined, { onAux, onText }: Listeners = {}): Promise<void> {
  const screen = to === undefined ? undefined : openScreen(to);
  for await (const line of eachLine(body)) {
    // The engine's own format; a line that is no JSON ends the stream with the parser's error.
    const message = JSON.parse(line) as Message;
    if (message.stream !== undefined) onText?.(message.stream);
    if (message.aux !== undefined) onAux?.(message.aux);
    else if (message.errorDetail !== undefined || message.error !== undefined) {
      throw new CommandFailure(
        message.errorDetail?.message ?? message.error ?? "",
        message.errorDetail?.code === 401 ? 1 : (message.errorDetail?.code ?? 0) || 1,
        { excerpt: message.errorDetail?.excerpt },
      );
    } else screen?.(message);
  }
}

function openScreen(to: Target): (message: Message) => void {
  const terminal = typeof to === "number" && isTerminal(to);
  const write = typeof to === "number" ? (text: string) => writeAll(to, Buffer.from(text)) : to;
  const columns = (terminal && (to === 1 ? process.stdout.columns : process.stderr.columns)) || UNKNOWN_COLUMNS;
  let lines = new Map<string, number>();
  return (message) => {
    let out = "";
    let up = 0;
    const progress = progressText(message, columns);
    if (message.id !== undefined && message.id !== "" && message.progressDetail !== undefined) {
      if (!lines.has(message.id)) {
        lines.set(message.id, lines.size);
        if (terminal) out += "\n";
      }
      up = lines.size - (lines.get(message.id) ?? 0);
      if (terminal && up > 0) out += `\x1b[${up}A`;
    } else {
      lines = new Map();
    }
    const prefix = message.id === undefined || message.id === "" ? "" : `${message.id}: `;
    if (terminal && message.progressDetail !== undefined && message.stream === undefined)
      out += `\x1b[2K\r${prefix}${message.status ?? ""} ${progress}\r`;
    else if (progress !== "") return;
    else if (message.stream !== undefined) out += prefix + message.stream;
    else out += `${prefix}${message.status ?? ""}\n`;
    if (terminal && up > 0) out += `\x1b[${up}B`;
    write(out);
  };
}

/** A bar and numbers, as far as there are any. */
export function progressText({ progressDetail }: Pick<Message, "progressDetail">, columns = UNKNOWN_COLUMNS): string {
  const { current = 0, total = 0, hidecounts = false, units = "" } = progressDetail ?? {};
  if (current <= 0 && total <= 0) return "";
  const amount = (value: number): string => (units === "" ? formatSize(value, 4) : String(value));
  if (total <= 0) return units === "" ? amount(current).padStart(8) : `${current} ${units}`;
  const done = Math.min(BAR_WIDTH, Math.floor(Math.floor((current / total) * 100) / 2));
  const bar = columns > BAR_MIN_COLUMNS ? `[${"=".repeat(done)}>${" ".repeat(BAR_WIDTH - done)}] ` : "";
  if (hidecounts) return bar;
  const numbers = current > total ? amount(current) : `${amount(current)}/${amount(total)}`;
  return bar + (units === "" ? numbers.padStart(numbers.length + Math.max(0, 8 - amount(current).length)) : `${numbers} ${units}`);
}

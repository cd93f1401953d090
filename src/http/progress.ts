import { encodeJson } from "../api/json.ts";
import { messageOf } from "../base/errors.ts";
import type { ProgressLine } from "../engine/images/images.ts";
import type { Answer, Output } from "./call.ts";

/**
 * Docker's progress stream: one JSON object a line, ended by CRLF. What goes wrong before the first line gets a real status; after it, a
 * last line with `errorDetail` and `error` (docker-py and dockerode read errors only there).
 */
export function progressAnswer(
  work: (progress: (line: ProgressLine) => void) => Promise<void>,
  /** Every error is told in the body, as by those calls of Docker that answer 200 in any case. */
  { errorsInBody = false } = {},
): Answer {
  return {
    kind: "stream",
    contentType: "application/json",
    async write(output) {
      const lines = new LineWriter(output);
      try {
        await work((line) => lines.add(line));
      } catch (error) {
        if (!lines.used && !errorsInBody) throw error;
        lines.addError(error);
      }
      await lines.end();
    },
  };
}

/** Lines that may wait for a client that does not read. Beyond that only the newest state of each id is kept. */
const MAX_WAITING = 512;

/** Writes lines as fast as the client reads them; the work never waits for it. */
class LineWriter {
  readonly #output: Output;
  #waiting: ProgressLine[] = [];
  #writing: Promise<void> | undefined;
  #last: string | undefined;
  #failed = false;
  used = false;

  constructor(output: Output) {
    this.#output = output;
  }

  add(line: ProgressLine): void {
    this.used = true;
    if (this.#failed) return;
    if (this.#waiting.length >= MAX_WAITING) this.#waiting = thinOut(this.#waiting);
    this.#waiting.push(line);
    this.#writing ??= this.#write();
  }

  addError(error: unknown): void {
    const message = messageOf(error);
    this.#last = formatLine({ errorDetail: { message }, error: message });
  }

  async end(): Promise<void> {
    await this.#writing;
    if (this.#last !== undefined) await this.#output.write(this.#last);
  }

  async #write(): Promise<void> {
    try {
      while (this.#waiting.length > 0) {
        const text = this.#waiting.splice(0).map(formatProgress).join("");
        await this.#output.write(text);
      }
    } catch {
      // The client is gone; the call's signal tells the work.
      this.#failed = true;
      this.#waiting = [];
    }
    this.#writing = undefined;
  }
}

/** Drops measurements that a later line of the same id has overtaken. */
function thinOut(lines: ProgressLine[]): ProgressLine[] {
  const newest = new Map(lines.map((line, index) => [line.id, index]));
  return lines.filter((line, index) => line.progressDetail?.current === undefined || newest.get(line.id) === index);
}

/** One line, with the drawn bar that clients show as it is. */
export function formatProgress(line: ProgressLine): string {
  const { stream, status, progressDetail, id, aux } = line;
  const progress = progressDetail === undefined ? "" : drawBar(progressDetail.current ?? 0, progressDetail.total ?? 0);
  return formatLine({
    ...(stream === undefined ? {} : { stream }),
    ...(status === undefined ? {} : { status }),
    ...(progressDetail === undefined ? {} : { progressDetail }),
    ...(progress === "" ? {} : { progress }),
    ...(id === undefined || id === "" ? {} : { id }),
    ...(aux === undefined ? {} : { aux }),
  });
}

/** Unlike all other answers this one has `<`, `>` and `&` escaped, as Go's encoder does unless told otherwise. */
export function formatLine(value: Record<string, unknown>): string {
  const escaped = encodeJson(value).replaceAll(/[<>&]/g, (character) => `\\u00${character.charCodeAt(0).toString(16)}`);
  return `${escaped}\r\n`;
}

const BAR_WIDTH = 50;

/** `[=====>      ]  1.2MB/3.4MB`, as Docker draws it for a wide terminal. */
export function drawBar(current: number, total: number): string {
  if (current <= 0 && total <= 0) return "";
  if (total <= 0) return humanSize(current).padStart(8);
  const filled = Math.min(Math.trunc(Math.trunc((current / total) * 100) / 2), BAR_WIDTH);
  const bar = `[${"=".repeat(filled)}>${" ".repeat(BAR_WIDTH - filled)}]`;
  const counts = humanSize(current).padStart(8);
  return current > total ? `${bar} ${counts}` : `${bar} ${counts}/${humanSize(total)}`;
}

const UNITS = ["B", "kB", "MB", "GB", "TB", "PB", "EB"];

/** Decimal units, four significant digits (docker/go-units HumanSize). */
function humanSize(bytes: number): string {
  let size = bytes;
  let unit = 0;
  while (size >= 1000 && unit < UNITS.length - 1) {
    size /= 1000;
    unit += 1;
  }
  return `${Number(size.toPrecision(4))}${UNITS[unit]}`;
}

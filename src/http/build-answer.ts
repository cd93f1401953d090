import type { BuildStep } from "../api/build-request.ts";
import { messageOf } from "../base/errors.ts";
import { type BuildOutput, StepFailedError } from "../engine/build/builds.ts";
import type { Output } from "./call.ts";
import { formatLine, formatProgress } from "./progress.ts";
import { excerptOf } from "./status.ts";

/** Lines that may wait for a client that does not read; then the build waits for it. */
const MAX_WAITING_BYTES = 64 * 1024 * 1024;

/** The stream of `POST /build`: Docker's JSON lines, `{"stream": …}` for text, stderr in red as Docker paints it. */
export class BuildAnswer implements BuildOutput {
  readonly #output: Output;
  #waiting: string[] = [];
  #waitingBytes = 0;
  #writing: Promise<void> | undefined;
  #isGone = false;
  readonly #tellsSteps: boolean;
  used = false;

  /** With `tellsSteps` for a client that asked for it: others would not know what it is. */
  constructor(output: Output, { tellsSteps }: { tellsSteps: boolean }) {
    this.#output = output;
    this.#tellsSteps = tellsSteps;
  }

  text(text: string): void {
    this.#add(formatProgress({ stream: text }));
  }

  errorText(text: string): void {
    this.#add(formatProgress({ stream: `\u001b[91m${text}\u001b[0m` }));
  }

  imageId(id: string): void {
    this.#add(formatProgress({ aux: { ID: id } }));
  }

  warning(text: string): void {
    if (this.#tellsSteps) this.#add(formatProgress({ aux: { "tsubo.warning": text } }));
  }

  step(step: BuildStep): void {
    if (this.#tellsSteps) this.#add(formatProgress({ aux: { "tsubo.step": step } }));
  }

  addError(error: unknown): void {
    const message = messageOf(error);
    const code = error instanceof StepFailedError ? { code: error.exitCode } : {};
    this.#add(formatLine({ errorDetail: { ...code, message, ...(this.#tellsSteps ? excerptOf(error) : {}) }, error: message }));
  }

  async end(): Promise<void> {
    await this.#writing;
  }

  #add(line: string): void {
    this.used = true;
    // A client that is gone aborts the build; one that does not read loses what is too much to keep.
    if (this.#isGone || this.#waitingBytes > MAX_WAITING_BYTES) return;
    this.#waiting.push(line);
    this.#waitingBytes += line.length;
    this.#writing ??= this.#write();
  }

  async #write(): Promise<void> {
    try {
      while (this.#waiting.length > 0) {
        const text = this.#waiting.splice(0).join("");
        this.#waitingBytes = 0;
        await this.#output.write(text);
      }
    } catch {
      this.#isGone = true;
      this.#waiting = [];
    }
    this.#writing = undefined;
  }
}

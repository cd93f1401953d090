import type { BuildStep } from "../../../api/build-request.ts";
import type { BuildOutput } from "../builds.ts";

/**
 * A build's text, in the order of its steps although they run side by side: a step writes through when all before it have ended, and
 * waits in memory until then. What becomes of each is told at once.
 */
export class Transcript {
  readonly #output: BuildOutput;
  readonly #steps: StepText[] = [];
  #current = 0;

  constructor(output: BuildOutput) {
    this.#output = output;
  }

  /** The text of the next step in order. */
  addStep(name: string, stage: string): StepText {
    const id = String(this.#steps.length + 1);
    const step = new StepText({
      onPiece: (piece) => this.#write(step, piece),
      onEnd: () => this.#advance(),
      onChange: (change) => this.#output.step({ id, name, stage, ...change }),
    });
    this.#steps.push(step);
    return step;
  }

  /** Says all that there is up to the step that failed, also of steps that have not ended. */
  flush(): void {
    for (const step of this.#steps.slice(this.#current)) {
      this.#say(step.take());
      if (step.hasFailed) break;
    }
    this.#current = this.#steps.length;
  }

  #write(step: StepText, piece: Piece): void {
    if (this.#steps[this.#current] === step) this.#say([piece]);
    else step.keep(piece);
  }

  #advance(): void {
    while (this.#steps[this.#current]?.hasEnded === true) {
      this.#current += 1;
      const next = this.#steps[this.#current];
      if (next !== undefined) this.#say(next.take());
    }
  }

  #say(pieces: Piece[]): void {
    for (const { text, isError } of pieces) {
      if (isError) this.#output.errorText(text);
      else this.#output.text(text);
    }
  }
}

interface Piece {
  text: string;
  isError: boolean;
}

interface StepListeners {
  onPiece: (piece: Piece) => void;
  onEnd: () => void;
  onChange: (change: Pick<BuildStep, "status" | "ms">) => void;
}

export class StepText {
  readonly #listeners: StepListeners;
  #kept: Piece[] = [];
  #begunAtMs: number | undefined;
  #isCached = false;
  hasEnded = false;
  hasFailed = false;

  constructor(listeners: StepListeners) {
    this.#listeners = listeners;
  }

  begin(): void {
    this.#begunAtMs = Date.now();
    this.#listeners.onChange({ status: "started" });
  }

  write(text: string): void {
    this.#listeners.onPiece({ text, isError: false });
  }

  writeError(text: string): void {
    this.#listeners.onPiece({ text, isError: true });
  }

  useCache(): void {
    this.#isCached = true;
    this.write(" ---> Using cache\n");
  }

  end(): void {
    this.hasEnded = true;
    this.#finish(this.#isCached ? "cached" : "done");
    this.#listeners.onEnd();
  }

  /** Its stage failed; if it was at work, by its fault. */
  fail(): void {
    this.hasFailed = this.#begunAtMs !== undefined;
    this.#finish("failed");
  }

  #finish(status: BuildStep["status"]): void {
    if (this.#begunAtMs !== undefined) this.#listeners.onChange({ status, ms: Date.now() - this.#begunAtMs });
    this.#begunAtMs = undefined;
  }

  keep(piece: Piece): void {
    this.#kept.push(piece);
  }

  take(): Piece[] {
    return this.#kept.splice(0);
  }
}

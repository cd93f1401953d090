import type { BuildOutput } from "../builds.ts";

/**
 * A build's text, in the order of its steps although they run side by side: a step writes through when all before it have ended, and
 * waits in memory until then.
 */
export class Transcript {
  readonly #output: BuildOutput;
  readonly #steps: StepText[] = [];
  #current = 0;

  constructor(output: BuildOutput) {
    this.#output = output;
  }

  /** The text of the next step in order. */
  addStep(): StepText {
    const step = new StepText(
      (pieces) => this.#write(step, pieces),
      () => this.#advance(),
    );
    this.#steps.push(step);
    return step;
  }

  /** Says all that there is, in order, also of steps that have not ended: the build failed. */
  flush(): void {
    for (const step of this.#steps.slice(this.#current)) this.#say(step.take());
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

export class StepText {
  readonly #onPiece: (piece: Piece) => void;
  readonly #onEnd: () => void;
  #kept: Piece[] = [];
  hasEnded = false;

  constructor(onPiece: (piece: Piece) => void, onEnd: () => void) {
    this.#onPiece = onPiece;
    this.#onEnd = onEnd;
  }

  write(text: string): void {
    this.#onPiece({ text, isError: false });
  }

  writeError(text: string): void {
    this.#onPiece({ text, isError: true });
  }

  end(): void {
    this.hasEnded = true;
    this.#onEnd();
  }

  keep(piece: Piece): void {
    this.#kept.push(piece);
  }

  take(): Piece[] {
    return this.#kept.splice(0);
  }
}

import type { BuildOutput } from "../builds.ts";

/** More than this nobody would read. */
const MAX_KEPT_LENGTH = 16 * 1024 * 1024;

/** What a quiet build does not say, unless it fails: then all of it is told, as Docker's does. */
export class KeptOutput implements BuildOutput {
  readonly #output: BuildOutput;
  #kept: (() => void)[] = [];
  #length = 0;

  constructor(output: BuildOutput) {
    this.#output = output;
  }

  text(text: string): void {
    this.#keep(text, () => this.#output.text(text));
  }

  errorText(text: string): void {
    this.#keep(text, () => this.#output.errorText(text));
  }

  imageId(): void {}
  warning(): void {}
  step(): void {}

  tell(): void {
    for (const say of this.#kept.splice(0)) say();
  }

  #keep(text: string, say: () => void): void {
    this.#length += text.length;
    if (this.#length <= MAX_KEPT_LENGTH) this.#kept.push(say);
  }
}

import { messageOf } from "./errors.ts";

/**
 * A scope of steps to take back. Steps are undone last-in first-out unless `keep()` was called; an undo that fails does not stop
 * the ones before it, and undo never looks at the request's abort signal.
 *
 *     await using undo = new Undo();
 *     await mount(target); undo.defer("unmount", () => unmount(target));
 *     …
 *     undo.keep();
 */
export class Undo {
  #steps: { what: string; run: () => unknown }[] = [];
  #report: (message: string) => void;

  constructor(report: (message: string) => void = () => undefined) {
    this.#report = report;
  }

  /** Registers how to take back the step just taken. `what` names it in the report of a failed undo. */
  defer(what: string, run: () => unknown): void {
    this.#steps.push({ what, run });
  }

  /** The operation succeeded: nothing is undone. */
  keep(): void {
    this.#steps = [];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const step of this.#steps.splice(0).toReversed()) {
      try {
        await step.run();
      } catch (error) {
        this.#report(`undo: ${step.what}: ${messageOf(error)}`);
      }
    }
  }
}

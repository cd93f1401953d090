import type { Readable } from "node:stream";
import type { BuildStep } from "../../api/build-request.ts";
import type { Flags } from "../arguments.ts";
import { isTerminal, print } from "../output/print.ts";
import { showProgress } from "../output/progress.ts";
import { openLiveView, type LiveView } from "./live-view.ts";

/** How often the view is drawn. */
const FRAME_MS = 100;

/** Whether steps are to be shown as they run, side by side, and not as text. */
export function wantsView(flags: Flags): boolean {
  const progress = flags.text("progress");
  return !flags.boolean("quiet") && (progress === "tty" || (progress === "auto" && isTerminal(1) && process.env["TERM"] !== "dumb"));
}

export type Followed = {
  /** The image's id, when the build went well. */
  id: string;
  /** The image of the last step that did, by its short id. */
  lastImage: string;
};

/** Shows how a build goes, and notes it in `seen`. The view begins with the first step that the engine tells of. */
export async function followBuild(body: Readable, seen: Followed, { live }: { live: boolean }): Promise<void> {
  let view: LiveView | undefined;
  let timer: NodeJS.Timeout | undefined;
  const onAux = (aux: unknown): void => {
    // The engine's own format.
    const { ID, "tsubo.step": step } = aux as { ID?: string; "tsubo.step"?: BuildStep };
    seen.id = ID ?? seen.id;
    if (step === undefined) return;
    if (view === undefined) {
      const started = openLiveView(() => ({ columns: process.stdout.columns || 80, rows: process.stdout.rows || 24 }), {
        colour: process.env["NO_COLOR"] === undefined,
        startedAtMs: Date.now(),
      });
      timer = setInterval(() => print(started.draw(Date.now())), FRAME_MS);
      view = started;
    }
    view.step(step, Date.now());
  };
  const onText = (text: string): void => {
    seen.lastImage = /^ ---> ([0-9a-f]{12})$/m.exec(text)?.[1] ?? seen.lastImage;
  };
  try {
    await showProgress(body, live ? (text) => (view === undefined ? print(text) : view.text(text)) : 1, { onAux, onText });
  } finally {
    clearInterval(timer);
    if (view !== undefined) print(view.end(Date.now()));
  }
}

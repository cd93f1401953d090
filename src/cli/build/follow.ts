import type { Readable } from "node:stream";
import type { BuildStep } from "../../api/build-request.ts";
import type { Flags } from "../arguments.ts";
import { isTerminal, print, writeAll } from "../output/print.ts";
import { showProgress } from "../output/progress.ts";
import { openLiveView, type Screen } from "./live-view.ts";

/** How often the view is drawn. */
const FRAME_MS = 100;

/** Whether steps are to be shown as they run, side by side, and not as text. */
export function wantsView(flags: Flags): boolean {
  const progress = flags.text("progress");
  // A check has no steps.
  return (
    !flags.boolean("quiet") &&
    !flags.boolean("check") &&
    (progress === "tty" || (progress === "auto" && isTerminal(1) && process.env["TERM"] !== "dumb"))
  );
}

export type Followed = {
  /** The image's id, when the build went well. */
  id: string;
  /** The image of the last step that did, by its short id. */
  lastImage: string;
};

/** Shows how a build goes, as text or in a view, and notes it in `seen`. */
export async function followBuild(body: Readable, seen: Followed, { live }: { live: boolean }): Promise<void> {
  const view = live ? openLiveView(screen, { colour: process.env["NO_COLOR"] === undefined, startedAtMs: Date.now() }) : undefined;
  const timer = view && setInterval(() => print(view.draw(Date.now())), FRAME_MS);
  const warnings: string[] = [];
  const onAux = (aux: unknown): void => {
    // The engine's own format.
    const { ID, "tsubo.step": step, "tsubo.warning": warning } = aux as { ID?: string; "tsubo.step"?: BuildStep; "tsubo.warning"?: string };
    seen.id = ID ?? seen.id;
    if (warning !== undefined) warnings.push(warning);
    if (step !== undefined) view?.step(step, Date.now());
  };
  const onText = (text: string): void => {
    seen.lastImage = /^ ---> ([0-9a-f]{12})$/m.exec(text)?.[1] ?? seen.lastImage;
  };
  try {
    await showProgress(body, view === undefined ? 1 : (text) => view.text(text), { onAux, onText });
  } finally {
    clearInterval(timer);
    if (view !== undefined) print(view.end());
    if (warnings.length > 0) {
      const title = `${warnings.length} warning${warnings.length === 1 ? "" : "s"} found (tsubo build --check tells more):`;
      writeAll(2, Buffer.from(`\n${title}\n${warnings.map((each) => ` - ${each}\n`).join("")}`));
    }
  }
}

const screen = (): Screen => ({ columns: process.stdout.columns || 80, rows: process.stdout.rows || 24 });

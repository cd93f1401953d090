import type { BuildStep } from "../../api/build-request.ts";
import { displayWidth, ellipsis } from "../output/table.ts";

/**
 * A build on a terminal: a line for each step once it is done, and below, drawn again and again, the steps that run now with their times and
 * the last lines that they wrote.
 */
export type LiveView = {
  step(step: BuildStep, nowMs: number): void;
  /** Classic text: what a step wrote is shown while it runs, and whole when it failed. */
  text(text: string): void;
  /** What to write now; for the last time with `end`, which leaves only what stays. */
  draw(nowMs: number): string;
  end(): string;
};

const OUTPUT_LINES = 4;
const SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏";
const SPIN_MS = 100;

const COLOURS = { green: 32, cyan: 36, red: 31, yellow: 33, faint: 2 } as const;
type Paint = (colour: keyof typeof COLOURS, text: string) => string;

type Running = { readonly step: BuildStep; readonly sinceMs: number };

/** How large the screen is, asked anew each time. */
export type Screen = { readonly columns: number; readonly rows: number };

export function openLiveView(screen: () => Screen, { colour, startedAtMs }: { colour: boolean; startedAtMs: number }): LiveView {
  const paint: Paint = (name, text) => (colour ? `\x1b[${COLOURS[name]}m${text}\x1b[0m` : text);
  const running = new Map<string, Running>();
  /** Lines that stay and are not written yet. */
  let lasting: string[] = [];
  /** What the step in turn has written. */
  let output = "";
  let failed = false;
  let doneCount = 0;
  let drawnLines = 0;

  const line = (mark: string, name: string, time: string, colourOf: keyof typeof COLOURS): string => {
    const room = screen().columns - 1 - displayWidth(mark) - displayWidth(time) - 3;
    const shown = ellipsis(name.replaceAll(/\s+/g, " "), Math.max(8, room));
    return `${paint(colourOf, mark)} ${shown}${" ".repeat(Math.max(1, room - displayWidth(shown) + 1))}${paint("faint", time)}`;
  };
  const nameOf = ({ stage, name }: BuildStep): string => (stage === undefined || stage === "" ? name : `[${stage}] ${name}`);

  const frame = (nowMs: number): string[] => {
    if (running.size === 0) return [];
    const { columns, rows } = screen();
    // What is higher than the screen cannot be drawn over.
    const most = Math.max(1, rows - 3);
    const spinner = SPINNER[Math.floor(nowMs / SPIN_MS) % SPINNER.length] ?? "";
    const steps = [...running.values()]
      .slice(0, most)
      .map(({ step, sinceMs }) => line(spinner, nameOf(step), seconds(nowMs - sinceMs), "yellow"));
    const written = output.split(/[\r\n]+/).filter((each) => each.trim() !== "");
    const last = written
      .slice(-Math.min(OUTPUT_LINES, most - steps.length) || written.length)
      .map((each) => paint("faint", `  │ ${ellipsis(plain(each), Math.max(8, columns - 5))}`));
    return [...steps, ...last, paint("faint", `building ${seconds(nowMs - startedAtMs)}, ${doneCount} done`)];
  };
  const redraw = (lines: readonly string[]): string => {
    const back = drawnLines === 0 ? "" : `\x1b[${drawnLines}A\r\x1b[J`;
    const text = [...lasting, ...lines].map((each) => `${each}\n`).join("");
    lasting = [];
    drawnLines = lines.length;
    return back + text;
  };

  return {
    step(step, nowMs) {
      if (step.status === "started") {
        running.set(step.id, { step, sinceMs: nowMs });
        return;
      }
      const sinceMs = running.get(step.id)?.sinceMs ?? nowMs;
      running.delete(step.id);
      doneCount += 1;
      failed ||= step.status === "failed";
      const [mark, colourOf] = ({ cached: ["●", "cyan"], done: ["✓", "green"], failed: ["✗", "red"] } as const)[step.status];
      lasting.push(line(mark, nameOf(step), step.status === "cached" ? "cached" : seconds(step.ms ?? nowMs - sinceMs), colourOf));
    },
    text(text) {
      for (const each of text.split(/(?<=\n)/)) {
        if (/^Step \d+\/\d+ : /.test(each)) output = "";
        else if (/^Successfully (built|tagged) |^\[Warning\]/.test(each)) lasting.push(each.replace(/\n$/, ""));
        else if (!/^ ---> |^Removing intermediate container /.test(each)) output += each;
      }
    },
    draw: (nowMs) => redraw(frame(nowMs)),
    end() {
      if (failed && output.trim() !== "") lasting.push(...output.replace(/^\n+/, "").trimEnd().split("\n"));
      return redraw([]);
    },
  };
}

function seconds(ms: number): string {
  return `${(Math.max(0, ms) / 1000).toFixed(1)}s`;
}

/** Without colours and whatever else would move the cursor. */
function plain(text: string): string {
  // eslint-disable-next-line no-control-regex
  return text.replaceAll(/\x1b\[[0-9;?]*[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f]/g, "").replaceAll("\t", " ");
}

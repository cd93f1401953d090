import os from "node:os";

import { EngineError } from "../../base/errors.ts";

/** First and last real-time signal as glibc's programs see them; the kernel's 32 and 33 are glibc's own. */
const RTMIN = 34;
const RTMAX = 64;

const NUMBERS: ReadonlyMap<string, number> = new Map([
  ...Object.entries(os.constants.signals).map(([name, number]): [string, number] => [name.replace(/^SIG/, ""), number]),
  ["CLD", os.constants.signals.SIGCHLD],
  ["RTMIN", RTMIN],
  ...Array.from({ length: 15 }, (_, index): [string, number] => [`RTMIN+${index + 1}`, RTMIN + index + 1]),
  ...Array.from({ length: 14 }, (_, index): [string, number] => [`RTMAX-${index + 1}`, RTMAX - index - 1]),
  ["RTMAX", RTMAX],
]);

const VALID: ReadonlySet<number> = new Set(NUMBERS.values());

/** The number of `SIGTERM`, `term`, `15`, `RTMIN+3`; others are refused in Docker's words. */
export function parseSignal(text: string): number {
  if (/^[+-]?\d+$/.test(text)) {
    const number = Number(text);
    if (number === 0) throw invalid(text);
    if (!VALID.has(number)) throw new EngineError("invalid", `the linux daemon does not support signal ${number}`);
    return number;
  }
  const number = NUMBERS.get(text.toUpperCase().replace(/^SIG/, ""));
  if (number === undefined) throw invalid(text);
  return number;
}

/** The number of a signal that is known to exist. */
export function signalNumberOf(name: string): number {
  return parseSignal(name);
}

function invalid(text: string): EngineError {
  return new EngineError("invalid", `invalid signal: ${text}`);
}

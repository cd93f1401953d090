import { closeSync, openSync, readSync } from "node:fs";
import { print } from "./print.ts";

/** Asks a question that `y` alone affirms; the end of the input is a no. */
export function confirm(question: string): boolean {
  print(`${question} [y/N] `);
  return readLine().trim().toLowerCase() === "y";
}

/** One line of standard input, read byte by byte: what follows it is not ours. */
export function readLine(): string {
  const line: number[] = [];
  const byte = Buffer.alloc(1);
  while (readSync(0, byte) === 1 && byte[0] !== 10) line.push(byte[0] ?? 0);
  return Buffer.from(line).toString("utf8");
}

const [CTRL_C, CTRL_D, BACKSPACE, NEWLINE, RETURN, CTRL_U, DELETE] = [3, 4, 8, 10, 13, 21, 127];
/** The exit status of a program that SIGINT ended, as a shell shows it. */
const EXIT_SIGINT = 130;

/**
 * One line from the terminal that is not shown. The terminal is raw meanwhile, so the few keys that edit a line are ours to do; Node makes
 * it as it was however the process ends.
 */
export function readSecret(): string {
  const typed: number[] = [];
  const byte = Buffer.alloc(1);
  process.stdin.setRawMode(true);
  // Opened anew: Node's own descriptor of it does not block.
  const terminal = openSync("/dev/stdin", "r");
  try {
    while (readSync(terminal, byte) === 1) {
      const [key = 0] = byte;
      if (key === NEWLINE || key === RETURN || key === CTRL_D) break;
      if (key === CTRL_C) process.exit(EXIT_SIGINT);
      if (key === CTRL_U) typed.length = 0;
      else if (key === BACKSPACE || key === DELETE) typed.pop();
      else typed.push(key);
    }
  } finally {
    closeSync(terminal);
    process.stdin.setRawMode(false);
  }
  return Buffer.from(typed).toString("utf8");
}

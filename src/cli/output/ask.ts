import { readSync } from "node:fs";
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

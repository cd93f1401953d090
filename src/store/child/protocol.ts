import type { ErrorKind } from "../../base/errors.ts";

/**
 * What the daemon and its children say to each other: one JSON object a line, requests on the child's stdin, answers on its stdout. A
 * job's number is the daemon's choice. The end of stdin tells a child to go.
 */
export type ChildRequest = { job: number; kind: string; payload: unknown } | { cancel: number };

export type ChildAnswer =
  | { job: number; progress: unknown }
  | { job: number; result: unknown }
  | { job: number; error: { kind: ErrorKind; message: string; details?: Record<string, unknown> | undefined } };

/** Longest line either side takes. */
export const MAX_LINE_BYTES = 16 * 1024 * 1024;

/** Cuts a stream of text into lines. */
export function lineSplitter(onLine: (line: string) => void): (chunk: string) => void {
  let rest = "";
  return (chunk) => {
    const lines = (rest + chunk).split("\n");
    rest = lines.pop() ?? "";
    if (rest.length > MAX_LINE_BYTES) throw new Error("a line is longer than the protocol allows");
    for (const line of lines) onLine(line);
  };
}

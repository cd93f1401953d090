import pino from "pino";

/**
 * The log of a process: one JSON object a line on standard error. An error is logged once, at the edge where it is answered. Secrets are
 * never passed to a log call; there is no redaction to rely on.
 */
export type Log = pino.Logger;
export type LogLevel = "debug" | "info" | "warn" | "error" | "fatal";

export function openLog(name: string, level: LogLevel): Log {
  return pino({ name, level, base: null, timestamp: pino.stdTimeFunctions.isoTime }, pino.destination({ fd: 2, sync: true }));
}

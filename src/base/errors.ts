import { getSystemErrorMessage } from "node:util";

/**
 * The one error class of the project and its closed set of kinds.
 *
 * An EngineError says what was being done, to what, why it failed and, where there is one, the way out. Its kind decides the HTTP
 * status once, in `http/status.ts`; nothing else maps errors to statuses.
 */

export type ErrorKind =
  /** The caller's input is wrong: 400. */
  | "invalid"
  /** Credentials are missing or wrong: 401. */
  | "unauthorized"
  /** Understood and refused: 403. */
  | "forbidden"
  /** No such object: 404. */
  | "notFound"
  /** The object's state does not allow it now: 409. */
  | "conflict"
  /** Already so: 304, without a body. */
  | "unchanged"
  /** A body or stream above a named limit: 413. */
  | "tooLarge"
  /** A part of the API that is not there (yet): 501. */
  | "unimplemented"
  /** Needs something that is off or away, such as swarm mode: 503. */
  | "unavailable"
  /** The machine, the kernel or we ourselves failed: 500. */
  | "system";

export class EngineError extends Error {
  readonly kind: ErrorKind;

  constructor(kind: ErrorKind, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = "EngineError";
    this.kind = kind;
  }
}

/** The message of whatever was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The `code` of a Node or kernel error (`ENOENT`, …), if it has one. */
export function codeOf(error: unknown): string | undefined {
  if (error instanceof Error && "code" in error && typeof error.code === "string") return error.code;
  return undefined;
}

/** Why a call to the kernel failed, without the call: `no such file or directory`; the message of any other error. */
export function reasonOf(error: unknown): string {
  // Node has words of its own for that one, users know those of strerror(3).
  if (codeOf(error) === "EEXIST") return "file exists";
  if (error instanceof Error && "errno" in error && typeof error.errno === "number") return getSystemErrorMessage(-Math.abs(error.errno));
  return messageOf(error);
}

/** Ends the process when an invariant is broken: the keeper makes a restart cheap, wrong state is not. */
export function invariant(holds: unknown, what: string): asserts holds {
  if (!holds) throw new Error(`invariant broken: ${what}`);
}

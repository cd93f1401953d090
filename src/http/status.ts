import { EngineError, type ErrorKind, messageOf } from "../base/errors.ts";
import { DockerfileError } from "../dockerfile/dockerfile-error.ts";

/** The one place where an error becomes an HTTP status. */
const STATUS_OF: Record<ErrorKind, number> = {
  invalid: 400,
  unauthorized: 401,
  forbidden: 403,
  notFound: 404,
  conflict: 409,
  unchanged: 304,
  tooLarge: 413,
  unimplemented: 501,
  unavailable: 503,
  system: 500,
};

/** What a client is told of whatever was thrown. `unexpected`: nobody foresaw it, so it belongs into the log with its stack. */
export function failureOf(error: unknown): { status: number; message: string; excerpt?: string; unexpected: boolean } {
  if (error instanceof EngineError)
    return { status: STATUS_OF[error.kind], message: error.message, ...excerptOf(error), unexpected: false };
  return { status: 500, message: messageOf(error), unexpected: true };
}

/** The lines of a Dockerfile that an error is about; our own command line shows them, others know nothing of the member. */
export function excerptOf(error: unknown): { excerpt?: string } {
  return error instanceof DockerfileError ? { excerpt: error.excerpt() } : {};
}

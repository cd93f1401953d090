/**
 * How a command ends when it does not succeed: what is printed on standard error, and the exit status.
 *
 * An empty message prints nothing: `run` and `exec` end so when the container's own status is not zero.
 */
export class CommandFailure extends Error {
  readonly exitCode: number;
  /** Lines that the message is about, for people. */
  readonly excerpt: string | undefined;

  constructor(message: string, exitCode = 1, options?: { cause?: unknown; excerpt?: string | undefined }) {
    super(message, options);
    this.excerpt = options?.excerpt;
    this.name = "CommandFailure";
    this.exitCode = exitCode;
  }
}

/** The engine answered with an error status. */
export class DaemonError extends Error {
  readonly status: number;
  readonly excerpt: string | undefined;

  constructor(status: number, message: string, excerpt?: string) {
    super(`Error response from daemon: ${message}`);
    this.name = "DaemonError";
    this.status = status;
    this.excerpt = excerpt;
  }
}

/** The engine cannot be reached. */
export class ConnectionError extends Error {
  constructor(message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = "ConnectionError";
  }
}

export function isNotFound(error: unknown): boolean {
  return error instanceof DaemonError && error.status === 404;
}

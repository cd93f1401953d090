/**
 * Versions of the Engine API that we speak. Every bit of version that is advertised switches on behaviour in the CLI, so the newest is what
 * docker 28 speaks; the oldest is what every old SDK falls back to.
 */
export const API_VERSION = "1.50";
export const MIN_API_VERSION = "1.24";

/** A version of the API as a number to compare: 1.41 → 1041. Docker compares by parts, so 1.5 is older than 1.24. */
export type ApiVersion = number;

/** Undefined when the text is no version at all. */
export function parseApiVersion(text: string): ApiVersion | undefined {
  const match = /^(\d{1,4})\.(\d{1,3})$/.exec(text);
  return match === null ? undefined : Number(match[1]) * 1000 + Number(match[2]);
}

export const NEWEST: ApiVersion = 1050;
export const OLDEST: ApiVersion = 1024;

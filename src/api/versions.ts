/**
 * Versions of the Engine API that we speak. Every bit of version that is advertised switches on behaviour in the CLI, so the newest is what
 * docker 28 speaks; the oldest is what every old SDK falls back to.
 */
export const API_VERSION = "1.50";
export const MIN_API_VERSION = "1.24";

/** A version of the API as a number to compare: 1.41 is 1041. Docker compares by parts, so 1.5 is older than 1.24. */
export type ApiVersion = number;

export const NEWEST: ApiVersion = parseApiVersion(API_VERSION);
export const OLDEST: ApiVersion = parseApiVersion(MIN_API_VERSION);

/** A part that is missing or no number counts as 0, as Docker has it; more than two parts are not looked at. */
export function parseApiVersion(text: string): ApiVersion {
  const [major = "", minor = ""] = text.split(".");
  return (Number.parseInt(major, 10) || 0) * 1000 + Math.min(Number.parseInt(minor, 10) || 0, 999);
}

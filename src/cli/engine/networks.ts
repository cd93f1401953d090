import { CommandFailure } from "../failure.ts";
import { segment } from "./client.ts";

/** The API's path of a network, or for doing `what` to it. */
export function networkPath(name: string, what?: string): string {
  if (name.trim() === "") throw new CommandFailure("invalid network name or ID: value is empty");
  return `/networks/${segment(name.trim())}${what === undefined ? "" : `/${what}`}`;
}

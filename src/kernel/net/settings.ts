import { readFileSync, writeFileSync } from "node:fs";

import { codeOf, EngineError, messageOf } from "../../base/errors.ts";

/**
 * Kernel settings below /proc/sys/net. The files show the network namespace of the thread that opens them, so inside a window of
 * `inNamespace` these functions act on that namespace.
 */

/** Writes a setting; one that this kernel does not have (no IPv6, older) is passed over. */
export function writeSetting(name: string, value: string): void {
  try {
    writeFileSync(`/proc/sys/net/${name}`, value);
  } catch (error) {
    if (codeOf(error) === "ENOENT") return;
    throw new EngineError("system", `setting net/${name} to ${value}: ${messageOf(error)}`, { cause: error });
  }
}

/** The value of a setting, without the newline; undefined where the kernel does not have it. */
export function readSetting(name: string): string | undefined {
  try {
    return readFileSync(`/proc/sys/net/${name}`, "utf8").trim();
  } catch {
    return undefined;
  }
}

/** Writes only what is not so already: a write to `forwarding` makes the kernel flush its routing cache. */
export function ensureSetting(name: string, value: string): void {
  if (readSetting(name) !== value) writeSetting(name, value);
}

import { readFile } from "node:fs/promises";

import { EngineError, codeOf, messageOf } from "../../base/errors.ts";
import { DAEMON_FLAGS, type DaemonFlag, FILE_ONLY_KEYS, keyOf } from "./daemon-flags.ts";
import type { FlagValues } from "./flag-grammar.ts";

/** The keys of a config file and their values, groups such as `proxies` opened. */
export type FileValues = Map<string, unknown>;

/** Keys whose object is the value itself; the members of any other object are keys themselves (moby daemon/config/config.go). */
const OBJECT_KEYS = new Set(["builder", "default-network-opts", "default-ulimits", "features", "log-opts", "runtimes"]);

/** May stand in the file and on the command line; they add up. */
const MERGED_KEYS = new Set(["runtimes"]);

/** Undefined when there is no such file. Errors are dockerd's words. */
export async function readConfigFile(file: string): Promise<FileValues | undefined> {
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch (error) {
    if (codeOf(error) === "ENOENT") return undefined;
    throw failure(file, messageOf(error));
  }
  const trimmed = text.replace(/^\uFEFF/, "").trim();
  if (trimmed === "") return new Map();
  let content: unknown;
  try {
    content = JSON.parse(trimmed);
  } catch (error) {
    throw failure(file, messageOf(error));
  }
  if (!isObject(content)) throw failure(file, "not a JSON object");
  const values: FileValues = new Map();
  for (const [key, value] of Object.entries(content)) {
    if (isObject(value) && !OBJECT_KEYS.has(key)) for (const [inner, innerValue] of Object.entries(value)) values.set(inner, innerValue);
    else values.set(key, value);
  }
  return values;
}

/** Refuses keys that are no option, values of the wrong type, and what stands both in the file and on the command line. */
export function checkConfigFile(file: string, values: FileValues, flags: FlagValues): void {
  const known = new Map(DAEMON_FLAGS.filter(({ name }) => name !== "config-file").map((flag) => [keyOf(flag), flag]));
  const unknown = [...values.keys()].filter((key) => !known.has(key) && !FILE_ONLY_KEYS.has(key));
  if (unknown.length > 0) throw failure(file, `the following directives don't match any configuration option: ${unknown.join(", ")}`);

  const conflicts = DAEMON_FLAGS.filter((flag) => flags.has(flag.name) && values.has(keyOf(flag)) && !MERGED_KEYS.has(keyOf(flag)))
    .toSorted((a, b) => (a.name < b.name ? -1 : 1))
    .map((flag) => `${keyOf(flag)}: (from flag: ${goFormat(flags.get(flag.name))}, from file: ${goFormat(values.get(keyOf(flag)))})`);
  if (conflicts.length > 0) {
    throw failure(file, `the following directives are specified both as a flag and in the configuration file: ${conflicts.join(", ")}`);
  }

  for (const [key, value] of values) {
    const flag = known.get(key);
    if (flag !== undefined && !hasType(value, flag))
      throw failure(file, `${key}: a ${wantedType(flag)} is wanted, not ${JSON.stringify(value)}`);
  }
}

export function failure(file: string, why: string): EngineError {
  return new EngineError("invalid", `unable to configure the daemon with file ${file}: ${why}`);
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function hasType(value: unknown, flag: DaemonFlag): boolean {
  if (value === null) return true;
  switch (wantedType(flag)) {
    case "object":
      return isObject(value);
    case "list":
      return Array.isArray(value);
    case "list of strings":
      return Array.isArray(value) && value.every((item) => typeof item === "string");
    case "whole number":
      return Number.isSafeInteger(value);
    case "boolean":
      return typeof value === "boolean";
    case "string":
      return typeof value === "string";
  }
}

function wantedType(flag: DaemonFlag): "object" | "list" | "list of strings" | "whole number" | "boolean" | "string" {
  if (OBJECT_KEYS.has(keyOf(flag))) return "object";
  if (keyOf(flag) === "default-address-pools") return "list";
  switch (flag.kind) {
    case "list":
      return "list of strings";
    case "integer":
      return "whole number";
    case "boolean":
    case "string":
      return flag.kind;
  }
}

/** Go's %v. */
function goFormat(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(goFormat).join(" ")}]`;
  if (isObject(value))
    return `map[${Object.entries(value)
      .map(([key, item]) => `${key}:${goFormat(item)}`)
      .join(" ")}]`;
  return String(value);
}

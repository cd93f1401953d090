import { EngineError } from "../../base/errors.ts";
import { type FileValues, isObject } from "./config-file.ts";
import { DAEMON_FLAGS, keyOf } from "./daemon-flags.ts";
import type { FlagValues } from "./flag-grammar.ts";

/** Flag or file, whichever has it; `checkConfigFile` has seen to it that never both do, and that the file's values have the flags' types. */
export class Settings {
  readonly #flags: FlagValues;
  readonly #file: FileValues;
  readonly #fileName: string;

  constructor(flags: FlagValues, file: FileValues, fileName: string) {
    this.#flags = flags;
    this.#file = file;
    this.#fileName = fileName;
  }

  has(name: string): boolean {
    return this.value(name) !== undefined;
  }

  hasKey(key: string): boolean {
    return this.#file.has(key);
  }

  text(name: string): string | undefined {
    const value = this.value(name);
    return typeof value === "string" ? value : undefined;
  }

  boolean(name: string): boolean | undefined {
    const value = this.value(name);
    return typeof value === "boolean" ? value : undefined;
  }

  count(name: string, otherwise: number): number {
    const value = this.value(name);
    if (typeof value !== "number") return otherwise;
    if (value < 0) throw new EngineError("invalid", `invalid ${name.replaceAll("-", " ")}: ${value}`);
    return value;
  }

  list(name: string): string[] {
    const value = this.value(name);
    return Array.isArray(value) ? value.map(String) : [];
  }

  object(name: string): Record<string, unknown> {
    const value = this.#file.get(this.#key(name));
    return isObject(value) ? value : {};
  }

  /** `NAME=VALUE` flags; what has no `=` has an empty value. */
  flagPairs(name: string): Map<string, string> {
    const value = this.#flags.get(name);
    return new Map(
      (Array.isArray(value) ? value : []).map((item) => [
        item.split("=", 1)[0] ?? "",
        item.includes("=") ? item.slice(item.indexOf("=") + 1) : "",
      ]),
    );
  }

  pairs(name: string): Map<string, string> {
    return new Map([
      ...Object.entries(this.object(name)).map(([key, value]): [string, string] => [key, String(value)]),
      ...this.flagPairs(name),
    ]);
  }

  value(name: string): unknown {
    return this.#flags.get(name) ?? this.#file.get(this.#key(name)) ?? undefined;
  }

  /** How the user has said it. */
  originOf(name: string): string {
    const value = this.value(name);
    if (!this.#flags.has(name)) return `"${this.#key(name)}": ${JSON.stringify(value)} in ${this.#fileName}`;
    return `--${name}=${Array.isArray(value) ? value.join(",") : String(value)}`;
  }

  #key(name: string): string {
    const flag = DAEMON_FLAGS.find((candidate) => candidate.name === name);
    return flag === undefined ? name : keyOf(flag);
  }
}

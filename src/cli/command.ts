import type { Flag, Flags } from "./arguments.ts";
import type { Client } from "./engine/client.ts";
import type { ConfigFile } from "./engine/config-file.ts";

/**
 * What a command is: the part of the help and of the grammar that is its own, and what it does. Each lives in a file under `commands/`
 * and is loaded only when it is called (or its help is asked for).
 */
export type Command = {
  /** What stands behind the command's name in its usage line. */
  readonly usage: string;
  readonly flags: readonly Flag[];
  /** How many arguments it takes. `max` is absent where there is no limit. */
  readonly arguments: { readonly min: number; readonly max?: number };
  /** Flags end at the first argument. */
  readonly flagsFirst?: true;
  /** Says more than the summary, in `--help`. */
  readonly about?: string;
  /** Lines that work as they stand, each with what it is for. */
  readonly examples?: readonly (readonly [line: string, purpose: string])[];
  /** Does it. A number is the exit status. */
  run(call: Call): Promise<number | undefined | void>;
};

/** One call of a command. */
export type Call = {
  readonly flags: Flags;
  readonly args: readonly string[];
  /** `tsubo run`, as it was called. */
  readonly path: string;
  /** `-D` was given. */
  readonly debug: boolean;
  readonly client: Client;
  readonly config: ConfigFile;
};

/** The name this program goes by in its own messages. */
export const PROGRAM = "tsubo";

/**
 * The grammar of a command's arguments, which is that of Go's pflag, since every Docker user's fingers and scripts know it:
 *
 *     -itd  -p80:80  -p 80:80  -p=80:80  --rm  --rm=false  --name=x  --name x  --
 *
 * A boolean takes its value only behind `=`. A list grows with each use; any other flag keeps its last value. Commands that run something
 * (`run`, `create`, `exec`, `top`) end their own flags at the first argument; all others take flags anywhere before `--`.
 */

export type Flag = {
  readonly name: string;
  readonly short?: string;
  readonly kind: "boolean" | "text" | "integer" | "list";
  /** The word that `--help` shows for the value. */
  readonly value?: string;
  /** What an absent flag reads as; `--help` shows it. */
  readonly initial?: string;
  /** What it does, for `--help`. */
  readonly usage: string;
  /** The part of the help it stands in; none: among the first. */
  readonly section?: string;
  /** An older spelling that is still understood. */
  readonly hidden?: true;
  /** The advice printed when it is used. */
  readonly deprecated?: string;
  /** The first Engine API version that knows it. */
  readonly since?: string;
  /** Normalises one value, or throws an Error that says what is wrong with it. */
  readonly check?: (value: string) => string;
  /** The flag under whose name the value is kept. */
  readonly sameAs?: string;
};

/** What was given. Reading a flag that the command does not have is a bug and throws. */
export type Flags = {
  changed(name: string): boolean;
  boolean(name: string): boolean;
  text(name: string): string;
  integer(name: string): number;
  list(name: string): string[];
};

export type Arguments = { readonly flags: Flags; readonly positional: string[]; readonly help: boolean; readonly warnings: string[] };

/** A command line that does not fit the grammar; the message is pflag's. */
export class ArgumentError extends Error {}

/** Parses `input`. `interspersed` allows flags behind positional arguments. */
export function parseArguments(specs: readonly Flag[], input: readonly string[], interspersed: boolean): Arguments {
  const byName = new Map(specs.map((flag) => [flag.name, flag]));
  const byShort = new Map(specs.flatMap((flag) => (flag.short === undefined ? [] : [[flag.short, flag] as const])));
  const values = new Map<string, string[]>();
  const positional: string[] = [];
  const warnings: string[] = [];
  let help = false;

  const set = (flag: Flag, text: string): void => {
    const value = valueOf(flag, text);
    const name = flag.sameAs ?? flag.name;
    values.set(name, flag.kind === "list" ? [...(values.get(name) ?? []), value] : [value]);
    if (flag.deprecated !== undefined) warnings.push(`Flag --${flag.name} has been deprecated, ${flag.deprecated}`);
  };

  const rest = [...input];
  for (let argument = rest.shift(); argument !== undefined; argument = rest.shift()) {
    if (argument === "--") {
      positional.push(...rest);
      break;
    }
    if (!argument.startsWith("-") || argument === "-") {
      positional.push(argument);
      if (interspersed) continue;
      positional.push(...rest);
      break;
    }
    if (argument.startsWith("--")) {
      const [, name = "", text] = /^--([^=]*)(?:=([\s\S]*))?$/.exec(argument) ?? [];
      if (name === "" || name.startsWith("-")) throw new ArgumentError(`bad flag syntax: ${argument}`);
      const flag = byName.get(name);
      if (flag === undefined) {
        if (name !== "help") throw new ArgumentError(`unknown flag: --${name}`);
        help = text === undefined || parseBoolean(text);
      } else if (text !== undefined) set(flag, text);
      else if (flag.kind === "boolean") set(flag, "true");
      else {
        const next = rest.shift();
        if (next === undefined) throw new ArgumentError(`flag needs an argument: --${name}`);
        set(flag, next);
      }
      continue;
    }
    for (let cluster = argument.slice(1); cluster !== "";) {
      const short = cluster.slice(0, 1);
      const after = cluster.slice(1);
      const flag = byShort.get(short);
      cluster = "";
      if (flag === undefined) {
        if (short !== "h") throw new ArgumentError(`unknown shorthand flag: '${short}' in -${short}${after}`);
        warnings.push("Flag shorthand -h has been deprecated, use --help");
        help = true;
        cluster = after;
      } else if (after.length > 1 && after.startsWith("=")) set(flag, after.slice(1));
      else if (flag.kind === "boolean") {
        set(flag, "true");
        cluster = after;
      } else if (after !== "") set(flag, after);
      else {
        const next = rest.shift();
        if (next === undefined) throw new ArgumentError(`flag needs an argument: '${short}' in -${short}`);
        set(flag, next);
      }
    }
  }
  return { flags: reader(byName, values), positional, help, warnings };
}

function valueOf(flag: Flag, text: string): string {
  try {
    if (flag.kind === "boolean") return String(parseBoolean(text));
    if (flag.kind === "integer") return String(parseInteger(text));
    return flag.check === undefined ? text : flag.check(text);
  } catch (error) {
    const name = flag.short === undefined ? `--${flag.name}` : `-${flag.short}, --${flag.name}`;
    throw new ArgumentError(
      `invalid argument ${JSON.stringify(text)} for "${name}" flag: ${error instanceof Error ? error.message : String(error)}`,
    );
  }
}

/** Go's strconv.ParseBool. */
export function parseBoolean(text: string): boolean {
  if (["1", "t", "T", "TRUE", "true", "True"].includes(text)) return true;
  if (["0", "f", "F", "FALSE", "false", "False"].includes(text)) return false;
  throw new Error(`strconv.ParseBool: parsing ${JSON.stringify(text)}: invalid syntax`);
}

/** Go's strconv.ParseInt with base 0, within 64 bits; beyond 2^53 digits are lost, which no flag needs. */
export function parseInteger(text: string): number {
  const match = /^([+-]?)(0x[0-9a-f]+|0o?[0-7]+|0b[01]+|\d+)$/i.exec(text);
  if (match === null) throw new Error(`strconv.ParseInt: parsing ${JSON.stringify(text)}: invalid syntax`);
  const digits = (match[2] ?? "").replace(/^0o?(?=[0-7])/i, "0o");
  const value = BigInt(digits) * (match[1] === "-" ? -1n : 1n);
  if (BigInt.asIntN(64, value) !== value) throw new Error(`strconv.ParseInt: parsing ${JSON.stringify(text)}: value out of range`);
  return Number(value);
}

function reader(specs: ReadonlyMap<string, Flag>, values: ReadonlyMap<string, string[]>): Flags {
  const spec = (name: string): Flag => {
    const flag = specs.get(name);
    if (flag === undefined) throw new Error(`bug: the command has no flag --${name}`);
    return flag;
  };
  const text = (name: string): string => values.get(name)?.[0] ?? spec(name).initial ?? "";
  return {
    changed: (name) => values.has(name),
    boolean: (name) => text(name) === "true",
    text,
    integer: (name) => Number(text(name) || "0"),
    list: (name) => values.get(name) ?? (spec(name).initial === undefined ? [] : [text(name)]),
  };
}

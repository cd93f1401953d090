import { formatPlain, printValue, toJson } from "./go-print.ts";
import {
  bool,
  concrete,
  elements,
  entries,
  indirect,
  integer,
  isTrue,
  strings,
  text,
  typeName,
  valueOf,
  type GoValue,
} from "./go-values.ts";
import { printf } from "./printf.ts";

/** The functions of Docker's templates: Go's own and the Docker CLI's. `and` and `or` are with the executor, which may skip arguments. */

export type TemplateFunction = (args: readonly (GoValue | undefined)[]) => GoValue | undefined;

/** What a function throws; the executor says where. */
export class CallError extends Error {
  /** Which argument is at fault, where it is one. */
  readonly argument: number | undefined;

  constructor(message: string, argument?: number) {
    super(message);
    this.argument = argument;
  }
}

export const functions: Readonly<Record<string, TemplateFunction>> = {
  // Docker's.
  json: (args) => text(toJson(args[0])),
  split: (args) => strings(stringOf(args, 0).split(stringOf(args, 1))),
  join: (args) => text(listOf(args, 0).join(stringOf(args, 1))),
  title: (args) =>
    text(
      stringOf(args, 0).replace(/(^|[^\p{L}\p{N}_'])(\p{Ll})/gu, (_whole, before: string, letter: string) => before + letter.toUpperCase()),
    ),
  lower: (args) => text(stringOf(args, 0).toLowerCase()),
  upper: (args) => text(stringOf(args, 0).toUpperCase()),
  pad: (args) => {
    const content = stringOf(args, 0);
    return text(content === "" ? "" : " ".repeat(numberOf(args, 1)) + content + " ".repeat(numberOf(args, 2)));
  },
  truncate: (args) => {
    // By bytes, as Go does; a cut character stays a broken one there, here it becomes U+FFFD.
    const content = Buffer.from(stringOf(args, 0));
    return text(content.subarray(0, numberOf(args, 1)).toString("utf8"));
  },
  // Go's.
  len: (args) => integer(lengthOf(args[0])),
  index: (args) => args.slice(1).reduce<GoValue | undefined>((from, key) => indexOf(from, key), need(args, 0)),
  slice: (args) => sliceOf(args),
  not: (args) => bool(!isTrue(need(args, 0))),
  print: (args) => text(printAll(args)),
  println: (args) => text(`${args.map(formatArgument).join(" ")}\n`),
  printf: (args) => text(printf(stringOf(args, 0), args.slice(1))),
  html: (args) => text(escape(args, /[&<>"'\0]/g, { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&#34;", "'": "&#39;", "\0": "\uFFFD" })),
  urlquery: (args) => text(encodeURIComponent(printAll(args)).replaceAll("%20", "+")),
  js: (args) =>
    text(
      JSON.stringify(printAll(args))
        .slice(1, -1)
        .replace(/['<>&=]/g, (mark) => (mark === "'" ? "\\'" : `\\u00${mark.charCodeAt(0).toString(16).toUpperCase()}`)),
    ),
  eq: (args) => bool(args.length < 2 ? failComparison() : args.slice(1).some((other) => equal(args[0], other))),
  ne: (args) => bool(!equal(need(args, 0), need(args, 1))),
  lt: (args) => bool(less(need(args, 0), need(args, 1))),
  le: (args) => bool(less(need(args, 0), need(args, 1)) || equal(args[0], args[1])),
  gt: (args) => bool(!less(need(args, 0), need(args, 1)) && !equal(args[0], args[1])),
  ge: (args) => bool(!less(need(args, 0), need(args, 1))),
};

/** What the functions with fixed parameters take: their number, and what a literal in their place must be. */
export const parameters: Readonly<Record<string, readonly ("string" | "integer" | "any")[]>> = {
  json: ["any"],
  split: ["string", "string"],
  join: ["any", "string"],
  title: ["string"],
  lower: ["string"],
  upper: ["string"],
  pad: ["string", "integer", "integer"],
  truncate: ["string", "integer"],
  len: ["any"],
  not: ["any"],
  ne: ["any", "any"],
  lt: ["any", "any"],
  le: ["any", "any"],
  gt: ["any", "any"],
  ge: ["any", "any"],
};

/** Over a table's headings the functions that change text leave it alone. */
export const headingFunctions: Readonly<Record<string, TemplateFunction>> = Object.fromEntries(
  ["json", "split", "join", "title", "lower", "upper", "truncate"].map((name) => [
    name,
    (args: readonly (GoValue | undefined)[]) => args[0],
  ]),
);

function need(args: readonly (GoValue | undefined)[], at: number): GoValue | undefined {
  if (at >= args.length) throw new CallError(`wrong number of args: want at least ${at + 1} got ${args.length}`);
  return args[at];
}

function stringOf(args: readonly (GoValue | undefined)[], at: number): string {
  const value = need(args, at);
  const plain = value === undefined ? undefined : indirect(value);
  if (plain?.type.kind === "string") return String(plain.value);
  throw new CallError(
    plain === undefined ? `invalid value; expected string` : `wrong type for value; expected string; got ${typeName(plain.type)}`,
    at,
  );
}

function numberOf(args: readonly (GoValue | undefined)[], at: number): number {
  const value = need(args, at);
  const plain = value === undefined ? undefined : indirect(value);
  if (plain?.type.kind === "int") return Number(plain.value);
  throw new CallError(`wrong type for value; expected int; got ${plain === undefined ? "nil" : typeName(plain.type)}`, at);
}

function listOf(args: readonly (GoValue | undefined)[], at: number): string[] {
  const value = need(args, at);
  const list = value === undefined ? undefined : indirect(value);
  if (list?.type.kind !== "slice")
    throw new CallError(`wrong type for value; expected []string; got ${list === undefined ? "nil" : typeName(list.type)}`, at);
  return elements(list).map((item) => printValue(item));
}

function lengthOf(value: GoValue | undefined): number {
  if (value === undefined) throw new CallError("len of untyped nil");
  const plain = indirect(value);
  if (plain.type.kind === "string") return Buffer.byteLength(String(plain.value));
  if (plain.type.kind === "slice") return elements(plain).length;
  if (plain.type.kind === "map") return entries(plain).length;
  if (plain.type.kind === "pointer" || plain.type.kind === "any") throw new CallError("len of nil pointer");
  throw new CallError(`len of type ${typeName(plain.type)}`);
}

function indexOf(from: GoValue | undefined, key: GoValue | undefined): GoValue | undefined {
  if (from === undefined) throw new CallError("index of untyped nil");
  const plain = indirect(from);
  const at = key === undefined ? undefined : concrete(key);
  if (plain.type.kind === "map") {
    if (at?.type.kind !== "string") throw new CallError(`value has type ${at === undefined ? "nil" : typeName(at.type)}; should be string`);
    const { of } = plain.type;
    const found = entries(plain).find(([name]) => name === at.value)?.[1];
    return found ?? (of.kind === "any" ? undefined : valueOf(of, undefined));
  }
  if (plain.type.kind === "slice" || plain.type.kind === "string") {
    if (at?.type.kind !== "int")
      throw new CallError(`cannot index slice/array with ${at === undefined ? "nil" : `type ${typeName(at.type)}`}`);
    const items = plain.type.kind === "slice" ? elements(plain) : [...Buffer.from(String(plain.value))].map((byte) => integer(byte));
    const position = Number(at.value);
    const item = items[position];
    if (position < 0 || item === undefined)
      // Go checks an index up to the length, and leaves the length itself to reflection.
      throw new CallError(position === items.length ? `reflect: ${plain.type.kind} index out of range` : `index out of range: ${position}`);
    return item;
  }
  if (plain.value === null) throw new CallError(plain.type.kind === "any" ? "index of untyped nil" : "index of nil pointer");
  throw new CallError(`can't index item of type ${typeName(plain.type)}`);
}

function sliceOf(args: readonly (GoValue | undefined)[]): GoValue {
  const value = need(args, 0);
  if (value === undefined) throw new CallError("slice of untyped nil");
  const plain = indirect(value);
  const [start = 0, end] = args.slice(1).map((_, position) => numberOf(args, position + 1));
  const length = lengthOf(plain);
  if (start > (end ?? length) || (end ?? length) > length) throw new CallError(`index out of range: ${end ?? start}`);
  if (plain.type.kind === "string") return text(Buffer.from(String(plain.value)).subarray(start, end).toString("utf8"));
  if (plain.type.kind !== "slice") throw new CallError(`can't slice item of type ${typeName(plain.type)}`);
  return { type: plain.type, value: Array.isArray(plain.value) ? plain.value.slice(start, end) : [] };
}

/** Go's fmt.Sprint: a space between two operands when neither is a string. */
function printAll(args: readonly (GoValue | undefined)[]): string {
  return args.reduce<string>((out, arg, at) => {
    const isString = (value: GoValue | undefined): boolean => value !== undefined && concrete(value).type.kind === "string";
    const space = at > 0 && !isString(arg) && !isString(args[at - 1]) ? " " : "";
    return out + space + formatArgument(arg);
  }, "");
}

function formatArgument(value: GoValue | undefined): string {
  return value === undefined ? "<nil>" : formatPlain(indirect(value), true);
}

function escape(args: readonly (GoValue | undefined)[], characters: RegExp, table: Readonly<Record<string, string>>): string {
  return printAll(args).replace(characters, (character) => table[character] ?? character);
}

function failComparison(): never {
  throw new CallError("missing argument for comparison");
}

type Comparable = { readonly kind: "string" | "bool" | "int" | "float" | "nil"; readonly value: unknown };

function comparable(given: GoValue | undefined): Comparable {
  if (given === undefined) return { kind: "nil", value: null };
  const value = concrete(given);
  const { kind } = value.type;
  if (kind === "string" || kind === "bool" || kind === "int" || kind === "float") return { kind, value: value.value };
  if (kind === "time") return { kind: "string", value: value.value };
  if (value.value === null) return { kind: "nil", value: null };
  throw new CallError(
    kind === "slice" || kind === "map"
      ? `non-comparable type ${printValue(value)}: ${typeName(value.type)}`
      : "incompatible types for comparison",
  );
}

function equal(a: GoValue | undefined, b: GoValue | undefined): boolean {
  const [x, y] = [comparable(a), comparable(b)];
  if (x.kind === "nil" || y.kind === "nil") return x.kind === y.kind;
  if (x.kind !== y.kind) throw new CallError("incompatible types for comparison");
  return x.kind === "int" ? BigInt(String(x.value)) === BigInt(String(y.value)) : x.value === y.value;
}

function less(a: GoValue | undefined, b: GoValue | undefined): boolean {
  const [x, y] = [comparable(a), comparable(b)];
  if (x.kind !== y.kind) throw new CallError("incompatible types for comparison");
  if (x.kind === "bool" || x.kind === "nil") throw new CallError("invalid type for comparison");
  if (x.kind === "string") return Buffer.compare(Buffer.from(String(x.value)), Buffer.from(String(y.value))) < 0;
  return Number(x.value) < Number(y.value);
}

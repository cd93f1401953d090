import { formatGeneral } from "../output/units.ts";
import { formatPlain, printValue } from "./go-print.ts";
import { concrete, elements, indirect, typeName, type GoValue } from "./go-values.ts";

/** Go's fmt.Sprintf with the verbs that templates use: %v %s %q %d %x %X %o %b %c %t %f %e %g %T %%, width, precision and the flags `-+ 0#`. */
export function printf(format: string, args: readonly (GoValue | undefined)[]): string {
  let next = 0;
  const take = (): GoValue | undefined => args[next++];
  const out = format.replace(
    /%([-+ 0#]*)(\*|\d+)?(?:\.(\*|\d*))?([a-zA-Z%])/g,
    (_whole, flags: string, widthText: string | undefined, precisionText: string | undefined, verb: string) => {
      if (verb === "%") return "%";
      const count = (given: string | undefined): number | undefined =>
        given === "*" ? Number(take()?.value ?? 0) : given === undefined ? undefined : Number(given);
      const width = count(widthText) ?? 0;
      const precision = count(precisionText);
      if (next >= args.length) return `%!${verb}(MISSING)`;
      const given = take();
      if (given === undefined) return verb === "v" || verb === "s" ? "<nil>" : `%!${verb}(<nil>)`;
      const body = formatVerb(verb, flags, precision, indirect(given));
      if (flags.includes("-")) return body.padEnd(width);
      const isNumber = ["int", "float"].includes(concrete(given).type.kind) && "dxXobfeg".includes(verb);
      if (flags.includes("0") && isNumber)
        return body.replace(/^([+-]?)/, "$1\0").replace("\0", "0".repeat(Math.max(0, width - body.length)));
      return body.padStart(width);
    },
  );
  const extra = args.slice(next).map((arg) => (arg === undefined ? "<nil>" : `${typeName(concrete(arg).type)}=${formatPlain(arg, true)}`));
  return extra.length === 0 ? out : `${out}%!(EXTRA ${extra.join(", ")})`;
}

function formatVerb(verb: string, flags: string, precision: number | undefined, value: GoValue): string {
  const { kind } = value.type;
  const bad = (): string => `%!${verb}(${typeName(value.type)}=${formatPlain(value, true)})`;
  const cut = (text: string): string => (precision === undefined ? text : Array.from(text).slice(0, precision).join(""));
  if (verb === "T") return typeName(value.type);
  if (verb === "v") return kind === "string" ? cut(String(value.value)) : formatPlain(value, true);
  if (kind === "slice" && verb !== "x")
    return `[${elements(value)
      .map((item) => formatVerb(verb, flags, precision, indirect(item)))
      .join(" ")}]`;
  if (kind === "string") {
    const text = cut(String(value.value));
    if (verb === "s") return text;
    if (verb === "q") return quote(text);
    if (verb === "x" || verb === "X") return hex(Buffer.from(text).toString("hex"), verb);
    return bad();
  }
  if (kind === "bool") return verb === "t" ? String(value.value) : bad();
  if (kind === "int") return formatInteger(verb, flags, value) ?? bad();
  if (kind === "float") return formatFloat(verb, precision, Number(value.value)) ?? bad();
  return verb === "s" ? printValue(value) : bad();
}

function formatInteger(verb: string, flags: string, value: GoValue): string | undefined {
  const number = BigInt(String(value.value));
  const sign = number >= 0n && flags.includes("+") ? "+" : number >= 0n && flags.includes(" ") ? " " : "";
  const based = (base: number, prefix: string): string =>
    `${number < 0n ? "-" : sign}${flags.includes("#") ? prefix : ""}${(number < 0n ? -number : number).toString(base)}`;
  switch (verb) {
    case "d":
      return based(10, "");
    case "x":
      return based(16, "0x");
    case "X":
      return based(16, "0X").toUpperCase();
    case "o":
      return based(8, "0");
    case "b":
      return based(2, "0b");
    case "c":
      return String.fromCodePoint(Number(number));
    case "q":
      return `'${String.fromCodePoint(Number(number))}'`;
    default:
      return undefined;
  }
}

function formatFloat(verb: string, precision: number | undefined, value: number): string | undefined {
  if (verb === "f" || verb === "F") return value.toFixed(precision ?? 6);
  if (verb === "e") return value.toExponential(precision ?? 6).replace(/e([+-])(\d)$/, "e$10$2");
  if (verb === "g") return precision === undefined ? String(value) : formatGeneral(value, precision);
  return undefined;
}

function hex(digits: string, verb: string): string {
  return verb === "X" ? digits.toUpperCase() : digits;
}

/** Go's strconv.Quote. */
export function quote(text: string): string {
  const named: Readonly<Record<string, string>> = {
    "\x07": "\\a",
    "\b": "\\b",
    "\f": "\\f",
    "\n": "\\n",
    "\r": "\\r",
    "\t": "\\t",
    "\v": "\\v",
    '"': '\\"',
    "\\": "\\\\",
  };
  const escaped = text.replace(/["\\\p{Cc}\p{Cf}\p{Co}\p{Cs}\p{Cn}\p{Zl}\p{Zp}\p{Zs}]/gu, (character) => {
    if (character === " ") return character;
    const code = character.codePointAt(0) ?? 0;
    if (code < 0x80 && named[character] === undefined) return `\\x${code.toString(16).padStart(2, "0")}`;
    return named[character] ?? (code > 0xffff ? `\\U${code.toString(16).padStart(8, "0")}` : `\\u${code.toString(16).padStart(4, "0")}`);
  });
  return `"${escaped}"`;
}

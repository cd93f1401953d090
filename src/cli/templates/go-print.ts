import { concrete, elements, entries, fieldsOf, indirect, type GoType, type GoValue, type Row } from "./go-values.ts";

/** Values as text: Go's `%v`, and Go's JSON. */

/** What `{{x}}` prints. */
export function printValue(value: GoValue | undefined): string {
  if (value === undefined) return "<no value>";
  const plain = indirect(value);
  return plain.type.kind === "any" && plain.value === null ? "<no value>" : formatPlain(plain, true);
}

/** Go's `%v` of a value: pointers below the top are addresses there, which mean nothing and are printed as one. */
export function formatPlain(value: GoValue, isTop = false): string {
  const { type, value: content } = concrete(value);
  switch (type.kind) {
    case "string":
    case "bool":
    case "int":
    case "float":
      return String(content);
    case "time":
      return formatTime(String(content));
    case "pointer":
      if (content === null) return "<nil>";
      return isTop ? formatPlain(indirect(value), true) : "0xc000000000";
    case "slice":
      return `[${elements(concrete(value))
        .map((item) => formatPlain(item))
        .join(" ")}]`;
    case "map":
      return `map[${entries(concrete(value))
        .map(([key, item]) => `${key}:${formatPlain(item)}`)
        .join(" ")}]`;
    case "struct":
      return `{${fieldsOf(concrete(value))
        .map((field) => formatPlain(field.value))
        .join(" ")}}`;
    case "any":
      return "<nil>";
    case "row":
    case "headings":
      return "map[]";
  }
}

/** Go's Time.String: `2026-01-31 08:05:09.12 +0000 UTC`. */
export function formatTime(text: string): string {
  const match = /^(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)(\.\d+)?(Z|[+-]\d\d:\d\d)$/.exec(text);
  if (match === null) return text;
  const [, day, clock, fraction = "", zone = "Z"] = match;
  const digits = fraction.replace(/\.?0+$/, "");
  const offset = zone.replace(":", "");
  return `${day} ${clock}${digits} ${zone === "Z" ? "+0000 UTC" : `${offset} ${offset}`}`;
}

/** The value as JSON text: a struct's fields in their order, a map's sorted; `<`, `>` and `&` stay as they are but in rows, as with Docker. */
export function toJson(value: GoValue | undefined): string {
  const json = encode(value);
  return value !== undefined && holdsRows(value.type)
    ? json.replace(/[<>&]/g, (character) => `\\u00${character.charCodeAt(0).toString(16)}`)
    : json;
}

function holdsRows(type: GoType): boolean {
  if (type.kind === "slice") return holdsRows(type.of);
  return type.kind === "struct" ? type.fields.some((field) => holdsRows(field.type)) : type.kind === "row";
}

function encode(value: GoValue | undefined): string {
  return JSON.stringify(toPlain(value), (_key, item: unknown) => (typeof item === "bigint" ? JSON_RAW(String(item)) : item))
    .replaceAll("\u2028", "\\u2028")
    .replaceAll("\u2029", "\\u2029");
}

// TypeScript does not declare JSON.rawJSON (in V8 since Node 21): a 64-bit integer is written with all its digits.
const JSON_RAW = (digits: string): unknown => (JSON as unknown as { rawJSON: (this: void, text: string) => unknown }).rawJSON(digits);

function toPlain(given: GoValue | undefined): unknown {
  if (given === undefined) return null;
  const value = concrete(given);
  switch (value.type.kind) {
    case "pointer":
      return value.value === null ? null : toPlain(indirect(value));
    case "slice":
      return value.value === null ? null : elements(value).map(toPlain);
    case "map":
      return value.value === null ? null : Object.fromEntries(entries(value).map(([key, item]) => [key, toPlain(item)]));
    case "struct":
      return Object.fromEntries(structEntries(value));
    case "row":
      return rowEntries(value);
    default:
      return value.value;
  }
}

function structEntries(value: GoValue): [string, unknown][] {
  return fieldsOf(value).flatMap(({ field, value: item }): [string, unknown][] => {
    if (field.embedded) return structEntries(indirect(item));
    if (field.key === "-" || (field.omitEmpty && isEmpty(item))) return [];
    return [[field.key, toPlain(item)]];
  });
}

function isEmpty({ type, value }: GoValue): boolean {
  if (value === null || value === "" || value === false || value === 0) return true;
  if (type.kind === "slice") return Array.isArray(value) && value.length === 0;
  return type.kind === "map" && typeof value === "object" && Object.keys(value).length === 0;
}

function rowEntries(value: GoValue): Record<string, unknown> {
  // A row's value is its columns.
  const columns = Object.entries(value.value as Row).filter(([name]) => name !== "Label");
  return Object.fromEntries(columns.sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, column]) => [name, column("json")]));
}

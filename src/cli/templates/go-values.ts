/**
 * Values as Go's templates see them.
 *
 * A Docker template runs over Go structs: what `{{.State}}` prints, that an absent field is its type's zero value, the order of fields, all
 * come from the type. So a value here is its type and the JSON it came from; nothing is decoded before it is asked for. Values without a
 * type of their own (`any`) are what Go's decoder makes of JSON when it knows no better: maps, slices, strings, numbers.
 *
 * `undefined` in place of a value is Go's invalid value: a missing key of a map, printed `<no value>`.
 */

export type GoType =
  | { readonly kind: "string" | "bool" | "int" | "float" | "time" | "any"; readonly name: string }
  | { readonly kind: "pointer"; readonly to: GoType }
  | { readonly kind: "slice" | "map"; readonly of: GoType; readonly name?: string }
  | { readonly kind: "struct"; readonly name: string; readonly fields: readonly GoField[] }
  /** An object whose fields are methods: a row of a table, which names its columns so. */
  | { readonly kind: "row"; readonly name: string }
  /** A map of headings that answers to `Label` as well. */
  | { readonly kind: "headings"; readonly name: string };

export type GoField = {
  readonly name: string;
  /** Its name in JSON. */
  readonly key: string;
  readonly type: GoType;
  readonly omitEmpty: boolean;
  /** Its own fields belong to the struct that holds it. */
  readonly embedded: boolean;
};

export type GoValue = { readonly type: GoType; readonly value: unknown };

/** A row's columns, each computed when it is printed. `Label` takes the label's name; the others hear `json` where the whole row becomes that. */
export type Row = Readonly<Record<string, (name: string) => unknown>>;

const basic = (kind: "string" | "bool" | "int" | "float" | "time" | "any", name: string): GoType => ({ kind, name });
export const STRING = basic("string", "string");
export const BOOL = basic("bool", "bool");
export const INT = basic("int", "int");
export const FLOAT = basic("float", "float64");
export const TIME = basic("time", "time.Time");
export const ANY = basic("any", "interface {}");
const ANY_SLICE: GoType = { kind: "slice", of: ANY };
const ANY_MAP: GoType = { kind: "map", of: ANY };

const ZERO_TIME = "0001-01-01T00:00:00Z";

export const text = (value: string): GoValue => ({ type: STRING, value });
export const bool = (value: boolean): GoValue => ({ type: BOOL, value });
export const integer = (value: number): GoValue => ({ type: INT, value });
export const strings = (value: readonly string[]): GoValue => ({ type: { kind: "slice", of: STRING }, value });

/** A value of `type` made of JSON: what is absent or null is the type's zero. */
export function valueOf(type: GoType, json: unknown): GoValue {
  if (json !== undefined && json !== null) return { type, value: json };
  switch (type.kind) {
    case "string":
      return { type, value: "" };
    case "bool":
      return { type, value: false };
    case "int":
    case "float":
      return { type, value: 0 };
    case "time":
      return { type, value: ZERO_TIME };
    case "struct":
      return { type, value: {} };
    default:
      return { type, value: null };
  }
}

/** An `any` with its present content's type: what Go finds in an interface. Null stays an `any`. */
export function concrete(value: GoValue): GoValue {
  if (value.type.kind !== "any" || value.value === null) return value;
  const content = value.value;
  if (typeof content === "string") return { type: STRING, value: content };
  if (typeof content === "boolean") return { type: BOOL, value: content };
  if (typeof content === "bigint") return { type: INT, value: content };
  if (typeof content === "number") return { type: Number.isInteger(content) ? INT : FLOAT, value: content };
  return { type: Array.isArray(content) ? ANY_SLICE : ANY_MAP, value: content };
}

/** Follows pointers. A null pointer stays one. */
export function indirect(value: GoValue): GoValue {
  let current = concrete(value);
  while (current.type.kind === "pointer" && current.value !== null) current = valueOf(current.type.to, current.value);
  return current;
}

/** The elements of a slice; none for nil. */
export function elements(value: GoValue): GoValue[] {
  if (value.type.kind !== "slice" || !Array.isArray(value.value)) return [];
  const { of } = value.type;
  return value.value.map((item) => valueOf(of, item));
}

/** The entries of a map, in the order of its keys; none for nil. */
export function entries(value: GoValue): [string, GoValue][] {
  if (value.type.kind !== "map" || typeof value.value !== "object" || value.value === null) return [];
  const { of } = value.type;
  return Object.entries(value.value)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, item]) => [key, valueOf(of, item)]);
}

/** A struct's fields with those of its embedded structs, outer names first. */
export function fieldsOf(value: GoValue): { field: GoField; value: GoValue }[] {
  if (value.type.kind !== "struct") return [];
  // A struct's value is the JSON object it was read from.
  const json = value.value as Record<string, unknown>;
  return value.type.fields.map((field) => ({ field, value: valueOf(field.type, field.embedded ? json : json[field.key]) }));
}

/** The field of a struct by its Go name, embedded ones included. */
export function fieldOf(value: GoValue, name: string): GoValue | undefined {
  const own = fieldsOf(value);
  const direct = own.find(({ field }) => field.name === name);
  if (direct !== undefined) return direct.value;
  for (const { field, value: inner } of own) {
    const found = field.embedded ? fieldOf(indirect(inner), name) : undefined;
    if (found !== undefined) return found;
  }
  return undefined;
}

/** Go's name of a type, for messages. */
export function typeName(type: GoType): string {
  switch (type.kind) {
    case "pointer":
      return `*${typeName(type.to)}`;
    case "slice":
      return type.name ?? `[]${typeName(type.of)}`;
    case "map":
      return type.name ?? `map[string]${typeName(type.of)}`;
    default:
      return type.name;
  }
}

/** Whether `if` takes it for true: not zero, not empty, not nil. */
export function isTrue(value: GoValue | undefined): boolean {
  if (value === undefined) return false;
  const { type, value: content } = concrete(value);
  switch (type.kind) {
    case "string":
      return content !== "";
    case "bool":
      return content === true;
    case "int":
    case "float":
      return Number(content) !== 0;
    case "slice":
      return Array.isArray(content) && content.length > 0;
    case "map":
    case "headings":
      return typeof content === "object" && content !== null && Object.keys(content).length > 0;
    case "pointer":
    case "any":
      return content !== null;
    default:
      return true;
  }
}

import { EngineError } from "../base/errors.ts";

/**
 * Request bodies, read the way Docker's Go daemon reads them: names match whatever their case and the last one wins, `null` and absence give
 * the zero value, unknown names are ignored, a wrong type is refused in the words of Go's decoder (`invalid JSON: json: cannot unmarshal
 * string into Go struct field HostConfig.Memory of type int64`).
 *
 * A decoder is a value that describes a type; `Decoded<typeof x>` is that type. Bodies come from `parseJson` in `api/json.ts`, which keeps
 * integers beyond 2^53 as bigint and refuses deep nesting, so that decoders recurse no deeper than it allows.
 */
export interface Decoder<T> {
  /** Go's name of the type, for messages. */
  readonly goType: string;
  /** What absence and null mean. */
  zero(): T;
  /** `where` is the Go path of the field, for messages. */
  decode(value: unknown, where: string): T;
}

export type Decoded<D> = D extends Decoder<infer T> ? T : never;

/** A 64-bit integer: a bigint only where a number would lose digits. */
export type Int64 = number | bigint;

const INT64_MAX = 2n ** 63n - 1n;
const INT64_MIN = -(2n ** 63n);

export const string: Decoder<string> = scalar("string", "", (value) => typeof value === "string");
export const boolean: Decoder<boolean> = scalar("bool", false, (value) => typeof value === "boolean");
export const integer: Decoder<number> = scalar("int", 0, (value) => typeof value === "number" && Number.isSafeInteger(value));

export const int64: Decoder<Int64> = {
  goType: "int64",
  zero: () => 0,
  decode(value, where) {
    if (value === null) return 0;
    if (typeof value === "number" && Number.isSafeInteger(value)) return value;
    if (typeof value === "bigint" && value <= INT64_MAX && value >= INT64_MIN) return value;
    throw mismatch(value, where, "int64");
  },
};

/** A member that may be absent: `undefined` for absence and null (Go: a pointer). */
export function optional<T>(inner: Decoder<T>): Decoder<T | undefined> {
  return {
    goType: inner.goType,
    zero: () => undefined,
    decode: (value, where) => (value === null || value === undefined ? undefined : inner.decode(value, where)),
  };
}

/** A list; null is the empty list unless wrapped in `optional`. */
export function array<T>(item: Decoder<T>): Decoder<T[]> {
  return {
    goType: `[]${item.goType}`,
    zero: () => [],
    decode(value, where) {
      if (value === null) return [];
      if (!Array.isArray(value)) throw mismatch(value, where, `[]${item.goType}`);
      return value.map((element) => item.decode(element, where));
    },
  };
}

/** A string, or a list of strings (Docker's StrSlice: Cmd, Entrypoint). Null and absence are undefined. */
export const stringOrStrings: Decoder<string[] | undefined> = {
  goType: "[]string",
  zero: () => undefined,
  decode(value, where) {
    if (value === null || value === undefined) return undefined;
    if (typeof value === "string") return [value];
    return array(string).decode(value, where);
  },
};

/** An object with free keys. The result is a Map, so that a key such as `__proto__` is a key like any other. */
export function mapOf<T>(item: Decoder<T>): Decoder<Map<string, T>> {
  return {
    goType: `map[string]${item.goType}`,
    zero: () => new Map(),
    decode(value, where) {
      if (value === null) return new Map();
      if (!isObject(value)) throw mismatch(value, where, `map[string]${item.goType}`);
      return new Map(Object.entries(value).map(([key, element]) => [key, element === null ? item.zero() : item.decode(element, where)]));
    },
  };
}

type Fields = Record<string, Decoder<unknown>>;
type StructOf<F extends Fields> = { [K in keyof F]: Decoded<F[K]> };

/** An object with known members. `name` is the Go type's name, for messages. */
export function struct<F extends Fields>(name: string, fields: F): Decoder<StructOf<F>> {
  const byLowerCase = new Map(Object.entries(fields).map(([key, decoder]) => [key.toLowerCase(), { key, decoder }]));
  const zero = (): StructOf<F> => {
    const result: Record<string, unknown> = {};
    for (const [key, decoder] of Object.entries(fields)) result[key] = decoder.zero();
    // The loop above gave every key of F the value its decoder makes.
    return result as StructOf<F>;
  };
  return {
    goType: name,
    zero,
    decode(value, where) {
      if (value === null) return zero();
      if (!isObject(value)) throw mismatch(value, where, name);
      const result: Record<string, unknown> = zero();
      for (const [key, element] of Object.entries(value)) {
        const field = byLowerCase.get(key.toLowerCase());
        if (field === undefined) continue;
        const path = `${where === "" ? name : where}.${field.key}`;
        result[field.key] = element === null ? field.decoder.zero() : field.decoder.decode(element, path);
      }
      // As in zero(): every key of F is there, each made by its own decoder.
      return result as StructOf<F>;
    },
  };
}

function scalar<T>(goType: string, zero: T, accepts: (value: unknown) => boolean): Decoder<T> {
  return {
    goType,
    zero: () => zero,
    decode(value, where) {
      if (value === null) return zero;
      if (!accepts(value)) throw mismatch(value, where, goType);
      // `accepts` has just checked that the value is a T.
      return value as T;
    },
  };
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function mismatch(value: unknown, where: string, goType: string): EngineError {
  const subject = where === "" ? "Go value" : `Go struct field ${where}`;
  return new EngineError("invalid", `invalid JSON: json: cannot unmarshal ${jsonKind(value)} into ${subject} of type ${goType}`);
}

function jsonKind(value: unknown): string {
  if (Array.isArray(value)) return "array";
  switch (typeof value) {
    case "string":
      return "string";
    case "boolean":
      return "bool";
    case "number":
    case "bigint":
      return `number ${value}`;
    default:
      return "object";
  }
}

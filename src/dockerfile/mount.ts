/** `RUN --mount`: the types and what each may hold. Any value but `from` may hold variables, so this is read again at the step itself. */
import { EngineError } from "../base/errors.ts";
import { parseMemorySize } from "../base/sizes.ts";
import { parseBoolean } from "../base/booleans.ts";
import { splitFields } from "./flags.ts";
import { suggestion } from "./suggest.ts";
import type { MountFlag } from "./syntax.ts";

const TYPES = ["bind", "cache", "tmpfs", "secret", "ssh"] as const;
const SHARINGS = ["shared", "private", "locked"] as const;

export interface Mount {
  type: (typeof TYPES)[number];
  from: string | undefined;
  source: string | undefined;
  target: string | undefined;
  readOnly: boolean;
  id: string | undefined;
  sharing: (typeof SHARINGS)[number] | undefined;
  required: boolean;
  /** Of a secret: the variable that holds it; empty is its id. */
  env: string | undefined;
  mode: number | undefined;
  uid: number | undefined;
  gid: number | undefined;
  sizeBytes: number | undefined;
}

const KEYS = "type from source target readonly id sharing required size mode uid gid src dst destination ro rw readwrite env".split(" ");

/** `from=` without looking at anything else: it has to be known before any step runs. */
export function mountFrom(text: string): string | undefined {
  let from: string | undefined;
  for (const field of fieldsOf(text)) {
    if (field.key !== "from" || field.value === undefined) continue;
    const dollar = field.value.indexOf("$");
    if (dollar !== -1 && dollar !== field.value.length - 1) fail("'from' doesn't support variable expansion, define alias stage instead");
    from = field.value === "" ? undefined : field.value;
  }
  return from;
}

/** The mount that a flag means, `expand` applied to its values. */
export function parseMount(flag: MountFlag, expand: (word: string) => string): Mount {
  const mount: Mount = {
    type: "bind",
    from: undefined,
    source: undefined,
    target: undefined,
    readOnly: false,
    id: undefined,
    sharing: undefined,
    required: false,
    env: undefined,
    mode: undefined,
    uid: undefined,
    gid: undefined,
    sizeBytes: undefined,
  };
  const access: { readOnly: boolean | undefined } = { readOnly: undefined };
  for (const field of fieldsOf(flag.text)) setField(mount, access, field, expand);
  mount.readOnly = access.readOnly ?? (mount.type !== "cache" && mount.type !== "tmpfs");
  validate(mount);
  return mount;
}

interface Field {
  text: string;
  key: string;
  value: string | undefined;
}

function fieldsOf(text: string): Field[] {
  let fields: string[];
  try {
    fields = splitFields(text);
  } catch (error) {
    fail(`failed to parse csv mounts: ${error instanceof RangeError ? error.message : String(error)}`);
  }
  return fields.map((field) => {
    const equals = field.indexOf("=");
    if (equals === -1) return { text: field, key: field.toLowerCase(), value: undefined };
    return { text: field, key: field.slice(0, equals).toLowerCase(), value: field.slice(equals + 1) };
  });
}

function setField(mount: Mount, access: { readOnly: boolean | undefined }, field: Field, expand: (word: string) => string): void {
  const { key } = field;
  if (field.value === undefined && !["readonly", "ro", "readwrite", "rw", "required"].includes(key))
    fail(`invalid field '${field.text}' must be a key=value pair`);
  const value = expand(field.value ?? "true");
  const known = (list: readonly string[]): string => suggestion(value, list);
  switch (key) {
    case "type":
      mount.type =
        TYPES.find((type) => type === value.toLowerCase()) ?? fail(`unsupported mount type ${JSON.stringify(value)}${known(TYPES)}`);
      break;
    case "from":
      mount.from = orUndefined(value);
      break;
    case "source":
    case "src":
      mount.source = orUndefined(value);
      break;
    case "target":
    case "dst":
    case "destination":
      mount.target = orUndefined(value);
      break;
    case "readonly":
    case "ro":
      access.readOnly = parseBoolean(value) ?? fail(`invalid value for ${key}: ${value}`);
      break;
    case "readwrite":
    case "rw":
      access.readOnly = !(parseBoolean(value) ?? fail(`invalid value for ${key}: ${value}`));
      break;
    case "required":
      if (mount.type !== "secret" && mount.type !== "ssh") fail(`unexpected key '${key}' for mount type '${mount.type}'`);
      mount.required = parseBoolean(value) ?? fail(`invalid value for ${key}: ${value}`);
      break;
    case "size":
      if (mount.type !== "tmpfs") fail(`unexpected key '${key}' for mount type '${mount.type}'`);
      mount.sizeBytes = parseMemorySize(value) ?? fail(`invalid value for ${key}: ${value}`);
      break;
    case "id":
      mount.id = orUndefined(value);
      break;
    case "sharing":
      mount.sharing =
        SHARINGS.find((sharing) => sharing === value.toLowerCase()) ??
        fail(`unsupported sharing value ${JSON.stringify(value)}${known(SHARINGS)}`);
      break;
    case "mode":
      mount.mode = /^0*[0-7]{1,10}$/.test(value) ? uint32(parseInt(value, 8), key, value) : fail(`invalid value ${value} for mode`);
      break;
    case "uid":
      mount.uid = uint32(/^\d+$/.test(value) ? Number(value) : NaN, key, value);
      break;
    case "gid":
      mount.gid = uint32(/^\d+$/.test(value) ? Number(value) : NaN, key, value);
      break;
    case "env":
      mount.env = value;
      break;
    default:
      fail(`unexpected key '${key}' in '${field.text}'${suggestion(key, KEYS)}`);
  }
}

function validate(mount: Mount): void {
  const { type } = mount;
  if (type === "bind" || type === "tmpfs")
    for (const key of ["mode", "uid", "gid"] as const) if (mount[key] !== undefined) fail(`${key} not allowed for "${type}" type mounts`);
  if (type === "secret") {
    if (mount.from !== undefined) fail("secret mount should not have a from");
    if (mount.sharing !== undefined) fail("secret mount should not define sharing");
    if (mount.source === undefined && mount.target === undefined && mount.id === undefined)
      fail("invalid secret mount. one of source, target required");
    if (mount.source !== undefined && mount.id !== undefined) fail("both source and id can't be set");
  }
  if (mount.sharing !== undefined && type !== "cache") fail(`invalid cache sharing set for ${type} mount`);
}

function orUndefined(value: string): string | undefined {
  return value === "" ? undefined : value;
}

function uint32(number: number, key: string, value: string): number {
  return Number.isInteger(number) && number <= 0xffff_ffff ? number : fail(`invalid value ${value} for ${key}`);
}

function fail(message: string): never {
  throw new EngineError("invalid", message);
}

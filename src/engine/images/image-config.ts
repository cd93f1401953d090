import { EngineError, messageOf } from "../../base/errors.ts";

/**
 * The image config (image-spec v1.1 `config.md`, with Docker's additions), as parsed from its bytes. Unknown members are kept in the bytes,
 * not here.
 */
export interface ImageConfig {
  architecture: string;
  variant?: string;
  os: string;
  "os.version"?: string;
  created?: string;
  author?: string;
  comment?: string;
  docker_version?: string;
  container?: string;
  config?: ContainerDefaults;
  rootfs: { type: "layers"; diff_ids: string[] };
  history?: HistoryEntry[];
}

/** What a container made from the image starts with. Names as in the config's JSON. */
export interface ContainerDefaults {
  Hostname?: string;
  Domainname?: string;
  User?: string;
  ExposedPorts?: Record<string, Record<string, never>>;
  Env?: string[];
  Entrypoint?: string[] | null;
  Cmd?: string[] | null;
  Volumes?: Record<string, Record<string, never>> | null;
  WorkingDir?: string;
  Labels?: Record<string, string> | null;
  StopSignal?: string;
  StopTimeout?: number;
  Shell?: string[] | null;
  ArgsEscaped?: boolean;
  OnBuild?: string[] | null;
  Healthcheck?: { Test?: string[]; Interval?: number; Timeout?: number; StartPeriod?: number; StartInterval?: number; Retries?: number };
}

export interface HistoryEntry {
  created?: string;
  created_by?: string;
  author?: string;
  comment?: string;
  empty_layer?: boolean;
}

/** Docker's limit for a manifest, taken for configs too. */
const MAX_CONFIG_BYTES = 4 * 1024 * 1024;
/** overlayfs takes 500 layers, one of which is the writable one; Docker allows 125. */
export const MAX_LAYERS = 127;

/**
 * Parses a config that may come from anywhere: members of a wrong type are refused, `null` reads as absent, and what is not known to
 * this file is left out.
 */
export function parseImageConfig(bytes: Uint8Array): ImageConfig {
  if (bytes.length > MAX_CONFIG_BYTES) throw invalid(`it has ${bytes.length} bytes (at most ${MAX_CONFIG_BYTES})`);
  let parsed: unknown;
  try {
    parsed = JSON.parse(Buffer.from(bytes).toString("utf8"));
  } catch (error) {
    throw invalid(messageOf(error));
  }
  const root = object(parsed, "the config");
  const rootfs = object(root["rootfs"], "rootfs");
  const diffIds = strings(rootfs["diff_ids"], "rootfs.diff_ids") ?? [];
  const badDiffId = diffIds.find((diffId) => !/^sha256:[a-f0-9]{64}$/.test(diffId));
  if (badDiffId !== undefined) throw invalid("rootfs.diff_ids holds something that is no sha256 digest");
  if (diffIds.length > MAX_LAYERS) throw invalid(`it has ${diffIds.length} layers (at most ${MAX_LAYERS})`);
  const config: ImageConfig = {
    architecture: text(root, "architecture") ?? "",
    os: text(root, "os") ?? "linux",
    rootfs: { type: "layers", diff_ids: diffIds },
  };
  for (const key of TEXTS) {
    const value = text(root, key);
    if (value !== undefined) config[key] = value;
  }
  if (isPresent(root["config"])) config.config = parseDefaults(object(root["config"], "config"));
  if (isPresent(root["history"])) config.history = list(root["history"], "history").map(parseHistory);
  return config;
}

const TEXTS = ["variant", "os.version", "created", "author", "comment", "docker_version", "container"] as const;
const DEFAULT_TEXTS = ["Hostname", "Domainname", "User", "WorkingDir", "StopSignal"] as const;
const DEFAULT_LISTS = ["Env", "Entrypoint", "Cmd", "Shell", "OnBuild"] as const;
const HEALTH_NUMBERS = ["Interval", "Timeout", "StartPeriod", "StartInterval", "Retries"] as const;

function parseDefaults(members: Record<string, unknown>): ContainerDefaults {
  const defaults: ContainerDefaults = {};
  for (const key of DEFAULT_TEXTS) {
    const value = text(members, key);
    if (value !== undefined) defaults[key] = value;
  }
  for (const key of DEFAULT_LISTS) {
    const value = strings(members[key], `config.${key}`);
    if (value !== undefined) defaults[key] = value;
  }
  for (const key of ["ExposedPorts", "Volumes"] as const) {
    const value = members[key];
    if (isPresent(value)) defaults[key] = Object.fromEntries(Object.keys(object(value, `config.${key}`)).map((name) => [name, {}]));
  }
  if (isPresent(members["Labels"])) {
    const labels = Object.entries(object(members["Labels"], "config.Labels"));
    if (labels.some(([, value]) => typeof value !== "string")) throw invalid("config.Labels holds something that is no text");
    // Every value was just seen to be a string.
    defaults.Labels = Object.fromEntries(labels) as Record<string, string>;
  }
  if (isPresent(members["StopTimeout"])) defaults.StopTimeout = number(members["StopTimeout"], "config.StopTimeout");
  if (isPresent(members["ArgsEscaped"])) defaults.ArgsEscaped = members["ArgsEscaped"] === true;
  if (isPresent(members["Healthcheck"])) defaults.Healthcheck = parseHealthcheck(object(members["Healthcheck"], "config.Healthcheck"));
  return defaults;
}

function parseHealthcheck(members: Record<string, unknown>): NonNullable<ContainerDefaults["Healthcheck"]> {
  const health: NonNullable<ContainerDefaults["Healthcheck"]> = {};
  const test = strings(members["Test"], "config.Healthcheck.Test");
  if (test !== undefined) health.Test = test;
  for (const key of HEALTH_NUMBERS) if (isPresent(members[key])) health[key] = number(members[key], `config.Healthcheck.${key}`);
  return health;
}

function parseHistory(value: unknown): HistoryEntry {
  const members = object(value, "history");
  const entry: HistoryEntry = {};
  for (const key of ["created", "created_by", "author", "comment"] as const) {
    const item = text(members, key);
    if (item !== undefined) entry[key] = item;
  }
  if (members["empty_layer"] === true) entry.empty_layer = true;
  return entry;
}

function isPresent(value: unknown): boolean {
  return value !== undefined && value !== null;
}

function object(value: unknown, what: string): Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw invalid(`${what} is no object`);
  // A JSON object, as was just checked.
  return value as Record<string, unknown>;
}

function list(value: unknown, what: string): unknown[] {
  if (!Array.isArray(value)) throw invalid(`${what} is no list`);
  return value;
}

function strings(value: unknown, what: string): string[] | undefined {
  if (!isPresent(value)) return undefined;
  const items = list(value, what);
  if (!items.every((item) => typeof item === "string")) throw invalid(`${what} holds something that is no text`);
  return items;
}

function text(members: Record<string, unknown>, key: string): string | undefined {
  const value = members[key];
  if (!isPresent(value)) return undefined;
  if (typeof value !== "string") throw invalid(`${key} is no text`);
  return value;
}

function number(value: unknown, what: string): number {
  if (typeof value !== "number") throw invalid(`${what} is no number`);
  return value;
}

function invalid(why: string): EngineError {
  return new EngineError("invalid", `invalid image config: ${why}`);
}

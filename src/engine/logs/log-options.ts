import { EngineError } from "../../base/errors.ts";
import { parseDecimalSize, parseMemorySize } from "../../base/sizes.ts";
import type { LogDestination } from "../../keeper/keeper.ts";

/** A log driver and its options, as `--log-driver`, `--log-opt` and HostConfig.LogConfig name them. */
export interface LogConfig {
  type: string;
  options: ReadonlyMap<string, string>;
}

type Rotation = Pick<Extract<LogDestination, { driver: "json-file" }>, "maxSizeBytes" | "maxFiles" | "compress" | "maxTotalBytes">;

/**
 * Docker rotates nothing unless told so, and disks fill up (moby #27957). A log may take 30 MB here, in files of 10 MB that are compressed
 * once they are full (docs/decisions/0002): some hundred megabytes of output, of which `logs` gives all.
 */
const DEFAULT_ROTATION: Rotation = { maxSizeBytes: 10_000_000, maxFiles: 100, compress: true, maxTotalBytes: 30_000_000 };
/** Where some of the options are given, the others are Docker's; but a size there always is. */
const ROTATION_OPTIONS = ["max-size", "max-file", "compress"];
const DEFAULT_MAX_FILES = 3;

const JSON_FILE_OPTIONS = new Set(["max-file", "max-size", "compress", "labels", "labels-regex", "env", "env-regex", "tag"]);
const ANY_DRIVER_OPTIONS = new Set(["mode", "max-buffer-size"]);

/**
 * What a container that asked for `requested` logs with: the daemon's driver when it named none, the daemon's options below its own when
 * the driver is the same. This is what inspect shows. Throws in dockerd's words for what cannot be.
 */
export function mergeLogConfig(requested: LogConfig, defaults: LogConfig): LogConfig {
  const type = requested.type === "" ? defaults.type : requested.type;
  const options = new Map([...(type === defaults.type ? defaults.options : []), ...requested.options]);
  const merged = { type, options };
  checkLogConfig(merged);
  return merged;
}

export function checkLogConfig({ type, options }: LogConfig): void {
  if (type === "none") return;
  const mode = options.get("mode") ?? "";
  if (!["", "blocking", "non-blocking"].includes(mode)) throw refuse(`logger: logging mode not supported: ${mode}`);
  const bufferSize = options.get("max-buffer-size");
  if (bufferSize !== undefined) {
    if (mode !== "non-blocking") throw refuse("logger: max-buffer-size option is only supported with 'mode=non-blocking'");
    if (parseMemorySize(bufferSize) === undefined) throw refuse(`error parsing option max-buffer-size: invalid size: '${bufferSize}'`);
  }
  if (type !== "json-file") throw refuse(`logger: no log driver named '${type}' is registered`);
  for (const option of options.keys()) {
    if (!JSON_FILE_OPTIONS.has(option) && !ANY_DRIVER_OPTIONS.has(option)) {
      throw refuse(`unknown log opt '${option}' for json-file log driver`);
    }
  }
  rotation(options);
}

/** Where the keeper writes, of a config that was checked. `facts` are what the options `labels`, `env` and `tag` choose from. */
export function logDestination({ type, options }: LogConfig, path: string, facts: LogFacts): LogDestination {
  if (type === "none") return { driver: "none" };
  const attrs = attributes(options, facts);
  return { driver: "json-file", path, ...rotation(options), ...(Object.keys(attrs).length > 0 ? { attrs } : {}) };
}

export interface LogFacts {
  id: string;
  name: string;
  imageId: string;
  imageName: string;
  labels: ReadonlyMap<string, string>;
  /** `NAME=value` */
  env: readonly string[];
}

function rotation(options: ReadonlyMap<string, string>): Rotation {
  if (!ROTATION_OPTIONS.some((option) => options.has(option))) return DEFAULT_ROTATION;
  const size = options.get("max-size");
  const maxSizeBytes = size === undefined ? DEFAULT_ROTATION.maxSizeBytes : parseDecimalSize(size);
  if (maxSizeBytes === undefined) throw refuse(`invalid size: '${size}'`);
  if (maxSizeBytes <= 0) throw refuse("max-size must be a positive number");

  const files = options.get("max-file");
  // Docker's default of one file holds where a size was asked for: then the user has chosen how much is kept.
  const maxFiles = files === undefined ? (size === undefined ? DEFAULT_MAX_FILES : 1) : Number(files);
  if (!Number.isSafeInteger(maxFiles) || files === "") throw refuse(`strconv.Atoi: parsing "${files}": invalid syntax`);
  if (maxFiles < 1) throw refuse("max-file cannot be less than 1");

  const compressText = options.get("compress") ?? "false";
  if (!/^(1|t|true|0|f|false)$/i.test(compressText)) throw refuse(`strconv.ParseBool: parsing "${compressText}": invalid syntax`);
  const compress = /^(1|t)/i.test(compressText);
  // There is always a size here, so that only the number of files can be wrong.
  if (compress && maxFiles === 1) {
    throw refuse("compress cannot be true when max-file is less than 2 or max-size is not set");
  }
  return { maxSizeBytes, maxFiles, compress };
}

/** The labels and variables that every line carries along (`logs --details`). */
function attributes(options: ReadonlyMap<string, string>, facts: LogFacts): Record<string, string> {
  const variables = new Map(
    facts.env
      .filter((entry) => entry.includes("="))
      .map((entry) => [entry.slice(0, entry.indexOf("=")), entry.slice(entry.indexOf("=") + 1)]),
  );
  const chosen = new Map<string, string>();
  for (const [from, names, pattern] of [
    [facts.labels, options.get("labels"), options.get("labels-regex")],
    [variables, options.get("env"), options.get("env-regex")],
  ] as const) {
    const wanted = new Set(names?.split(","));
    const matching = pattern ? compilePattern(pattern) : undefined;
    for (const [name, value] of from) if (wanted.has(name) || matching?.test(name)) chosen.set(name, value);
  }
  const tag = options.get("tag") ?? "";
  if (tag !== "") chosen.set("tag", expandTag(tag, facts));
  return Object.fromEntries([...chosen].toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

/** Docker's `tag` is a Go template over the container; the fields it documents are filled in. */
function expandTag(template: string, { id, name, imageId, imageName }: LogFacts): string {
  const hex = imageId.replace(/^sha256:/, "");
  const fields: Record<string, string> = {
    ID: id.slice(0, 12),
    FullID: id,
    Name: name,
    ImageID: hex.slice(0, 12),
    ImageFullID: imageId,
    ImageName: imageName,
    DaemonName: "tsubo",
  };
  return template.replaceAll(/\{\{\s*\.(\w+)\s*\}\}/g, (whole, field: string) => fields[field] ?? whole);
}

function compilePattern(pattern: string): RegExp {
  try {
    return new RegExp(pattern);
  } catch {
    throw refuse(`error parsing regexp: ${pattern}`);
  }
}

function refuse(message: string): EngineError {
  return new EngineError("invalid", message);
}

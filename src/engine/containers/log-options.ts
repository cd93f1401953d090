import type { ContainerConfig } from "../../api/container-config.ts";
import { EngineError } from "../../base/errors.ts";

/**
 * Log drivers and their options. Docker keeps everything for ever unless told otherwise; we keep LOG_FILES files of LOG_FILE_BYTES, and a
 * container that names `max-size` or `max-file` gets exactly what Docker would give it.
 */
export interface JsonFileOptions {
  maxSizeBytes: number | undefined;
  maxFiles: number;
  compress: boolean;
  /** Put beside every line. */
  attrs?: Record<string, string>;
}

const LOG_FILE_BYTES = 10_000_000;
const LOG_FILES = 3;

const JSON_FILE_OPTIONS = new Set(["max-file", "max-size", "compress", "labels", "labels-regex", "env", "env-regex", "tag"]);
/** Docker takes them with every driver. */
const COMMON_OPTIONS = new Set(["mode", "max-buffer-size", "cache-disabled", "cache-max-file", "cache-max-size", "cache-compress"]);

/** A container's driver and options with the daemon's under them; refused in Docker's words. */
export function mergeLogConfig(
  asked: { Type: string; Config: ReadonlyMap<string, string> },
  daemon: { driver: string; options: ReadonlyMap<string, string> },
): { Type: string; Config: Map<string, string> } {
  const driver = asked.Type === "" ? daemon.driver : asked.Type;
  const options = new Map([...(driver === daemon.driver ? daemon.options : []), ...asked.Config]);
  checkLogOptions(driver, options);
  return { Type: driver, Config: options };
}

/** Refuses a driver that is not there and options that it does not have. */
export function checkLogOptions(driver: string, options: ReadonlyMap<string, string>): void {
  if (driver === "none") return;
  const mode = options.get("mode") ?? "";
  if (!["", "blocking", "non-blocking"].includes(mode)) throw invalid(`logger: logging mode not supported: ${mode}`);
  const bufferSize = options.get("max-buffer-size");
  if (bufferSize !== undefined) {
    if (mode !== "non-blocking") throw invalid("logger: max-buffer-size option is only supported with 'mode=non-blocking'");
    parseSize(bufferSize, "error parsing option max-buffer-size: ");
  }
  if (driver !== "json-file") throw invalid(`logger: no log driver named '${driver}' is registered`);
  for (const name of options.keys()) {
    if (!JSON_FILE_OPTIONS.has(name) && !COMMON_OPTIONS.has(name)) throw invalid(`unknown log opt '${name}' for json-file log driver`);
  }
  parseLogOptions(options);
}

/** What json-file's options mean. `config` is the container's, for the options that copy labels and variables beside each line. */
export function parseLogOptions(options: ReadonlyMap<string, string>, config?: Pick<ContainerConfig, "Labels" | "Env">): JsonFileOptions {
  const [maxSize, maxFile, compress] = [options.get("max-size"), options.get("max-file"), options.get("compress")];
  const byDefault = maxSize === undefined && maxFile === undefined;
  const maxSizeBytes = maxSize === undefined ? (byDefault ? LOG_FILE_BYTES : undefined) : parseSize(maxSize, "");
  if (maxSizeBytes !== undefined && maxSizeBytes <= 0) throw invalid("max-size must be a positive number");
  const maxFiles = maxFile === undefined ? (byDefault ? LOG_FILES : 1) : parseCount(maxFile);
  if (maxFiles < 1) throw invalid("max-file cannot be less than 1");
  const isCompressed = compress === undefined ? false : parseFlag(compress);
  if (isCompressed && (maxFiles === 1 || maxSizeBytes === undefined)) {
    throw invalid("compress cannot be true when max-file is less than 2 or max-size is not set");
  }
  const attrs = config === undefined ? {} : logAttributes(options, config);
  return { maxSizeBytes, maxFiles, compress: isCompressed, ...(Object.keys(attrs).length === 0 ? {} : { attrs }) };
}

function logAttributes(options: ReadonlyMap<string, string>, config: Pick<ContainerConfig, "Labels" | "Env">): Record<string, string> {
  const variables = (config.Env ?? []).map((entry): [string, string] => {
    const at = entry.indexOf("=");
    return at < 0 ? [entry, ""] : [entry.slice(0, at), entry.slice(at + 1)];
  });
  const tag = options.get("tag") ?? "";
  return Object.fromEntries([
    ...pick(config.Labels, options.get("labels"), options.get("labels-regex")),
    ...pick(variables, options.get("env"), options.get("env-regex")),
    // A template needs the container's other properties; Docker's json-file writes what it makes of it.
    ...(tag === "" ? [] : [["tag", tag] as const]),
  ]);
}

function pick(pairs: Iterable<[string, string]>, list: string | undefined, regex: string | undefined): [string, string][] {
  const names = new Set((list ?? "").split(",").filter(Boolean));
  const pattern = regex === undefined || regex === "" ? undefined : compilePattern(regex);
  return [...pairs].filter(([name]) => names.has(name) || pattern?.test(name) === true);
}

function compilePattern(text: string): RegExp {
  try {
    return new RegExp(text);
  } catch {
    throw invalid(`error parsing regexp: ${text}`);
  }
}

/** `10m`, `1.5g`, `512`: decimal units, as go-units FromHumanSize reads them. */
function parseSize(text: string, prefix: string): number {
  const [, digits, unit = ""] = /^(\d+(?:\.\d+)?) ?([kmgtp]?)(?:i?b)?$/i.exec(text) ?? [];
  if (digits === undefined) throw invalid(`${prefix}invalid size: '${text}'`);
  return Math.trunc(Number(digits) * 1000 ** ["", "k", "m", "g", "t", "p"].indexOf(unit.toLowerCase()));
}

function parseCount(text: string): number {
  if (!/^[+-]?\d+$/.test(text)) throw invalid(`strconv.Atoi: parsing ${JSON.stringify(text)}: invalid syntax`);
  return Number(text);
}

function parseFlag(text: string): boolean {
  if (["1", "t", "T", "true", "TRUE", "True"].includes(text)) return true;
  if (["0", "f", "F", "false", "FALSE", "False"].includes(text)) return false;
  throw invalid(`strconv.ParseBool: parsing ${JSON.stringify(text)}: invalid syntax`);
}

function invalid(message: string): EngineError {
  return new EngineError("invalid", message);
}

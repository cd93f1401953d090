import { codeOf, messageOf } from "../../base/errors.ts";
import { mkdirSync, readFileSync, realpathSync, renameSync, writeFileSync } from "node:fs";
import path from "node:path";
import { CommandFailure } from "../failure.ts";

/**
 * `config.json` of the Docker CLI: the folder from `--config`, DOCKER_CONFIG or ~/.docker. We read what a client needs and write
 * only logins. A missing file is an empty one; a broken one is a warning, as with Docker.
 */
export type ConfigFile = {
  readonly folder: string;
  readonly auths: Readonly<Record<string, StoredAuth>>;
  readonly credsStore: string;
  readonly credHelpers: Readonly<Record<string, string>>;
  readonly detachKeys: string;
  readonly pruneFilters: readonly string[];
  readonly psFormat: string;
  readonly imagesFormat: string;
  readonly networksFormat: string;
  readonly volumesFormat: string;
  readonly httpHeaders: Readonly<Record<string, string>>;
  readonly proxies: Readonly<Record<string, Readonly<Record<string, string>>>>;
};

export type StoredAuth = {
  readonly auth?: string;
  readonly username?: string;
  readonly password?: string;
  readonly identitytoken?: string;
};

export function readConfigFile(given: string, warn: (text: string) => void): ConfigFile {
  const folder = given || process.env["DOCKER_CONFIG"] || path.join(process.env["HOME"] ?? "/", ".docker");
  const content = read(path.join(folder, "config.json"), warn);
  const text = (key: string): string => (typeof content[key] === "string" ? content[key] : "");
  // Each value is checked to be an object; what is inside is used as text only after a check of its own.
  const table = <T>(key: string): Record<string, T> => (isObject(content[key]) ? (content[key] as Record<string, T>) : {});
  return {
    folder,
    auths: table("auths"),
    credsStore: text("credsStore"),
    credHelpers: table("credHelpers"),
    detachKeys: text("detachKeys"),
    pruneFilters: Array.isArray(content["pruneFilters"]) ? content["pruneFilters"].filter((each) => typeof each === "string") : [],
    psFormat: text("psFormat"),
    imagesFormat: text("imagesFormat"),
    networksFormat: text("networksFormat"),
    volumesFormat: text("volumesFormat"),
    httpHeaders: Object.fromEntries(
      Object.entries(table<unknown>("HttpHeaders")).filter((pair): pair is [string, string] => typeof pair[1] === "string"),
    ),
    proxies: table("proxies"),
  };
}

/** Changes the logins in the file, which is replaced as a whole, and leaves all else in it as it was. Gives the file's path. */
export function updateConfigFile({ folder }: ConfigFile, change: (auths: Record<string, StoredAuth>) => void): string {
  const file = path.join(folder, "config.json");
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const content = read(file, (problem) => {
    throw new CommandFailure(`cannot store the login: ${problem}`);
  });
  const auths = isObject(content["auths"]) ? (content["auths"] as Record<string, StoredAuth>) : {};
  change(auths);
  const sorted = Object.fromEntries(Object.entries(auths).sort(([a], [b]) => (a < b ? -1 : 1)));
  // What a link leads to is replaced, not the link.
  const target = resolved(file);
  const temporary = `${target}.${process.pid}`;
  writeFileSync(temporary, JSON.stringify({ ...content, auths: sorted }, undefined, "\t"), { mode: 0o600 });
  renameSync(temporary, target);
  return file;
}

function resolved(file: string): string {
  try {
    return realpathSync(file);
  } catch (error) {
    if (codeOf(error) === "ENOENT") return file;
    throw error;
  }
}

function read(file: string, warn: (text: string) => void): Record<string, unknown> {
  let text;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    if (["ENOENT", "ENOTDIR"].includes(codeOf(error) ?? "")) return {};
    warn(`WARNING: Error loading config file: ${messageOf(error)}`);
    return {};
  }
  try {
    const content: unknown = text.trim() === "" ? {} : JSON.parse(text);
    return isObject(content) ? content : {};
  } catch (error) {
    warn(`WARNING: Error parsing config file (${file}): ${messageOf(error)}`);
    return {};
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

import { isIP } from "node:net";
import path from "node:path";

import { EngineError, messageOf } from "../../base/errors.ts";
import type { LogLevel } from "../../base/log.ts";
import { VERSION } from "../../base/version.ts";
import { type LogConfig, checkLogConfig } from "../../engine/logs/log-options.ts";
import type { CachePolicy } from "../../engine/build/cache/policy.ts";
import type { RuntimeChoice } from "../../keeper/keeper.ts";
import { driverNamed, type DriverName } from "../../store/storage-driver.ts";
import type { Roots } from "../../store/roots.ts";
import { checkConfigFile, failure, isObject, readConfigFile } from "./config-file.ts";
import { readCachePolicy } from "./build-cache.ts";
import { type ContainerDefaults, readContainerDefaults } from "./container-defaults.ts";
import { DAEMON_FLAGS, FILE_ONLY_KEYS, helpText, PROGRAM_FLAGS } from "./daemon-flags.ts";
import { readAddressPools, readDefaultNetwork } from "./default-network.ts";
import { type FlagValues, parseFlags } from "./flag-grammar.ts";
import { refuseMissingProtections } from "./protections.ts";
import { formatListenAddress, type ListenAddress, parseListenAddress } from "./listen-address.ts";
import { Settings } from "./settings.ts";

/**
 * What the daemon is told: flags with dockerd's names and grammar, and a JSON file with dockerd's keys. All of it is read, checked and
 * given a type here, before anything else is opened; the rest of the daemon sees only `DaemonConfig`, and nothing reads flags, the file
 * or the environment a second time.
 */
export interface DaemonConfig {
  roots: Roots;
  /** Undefined: as the data root has it. */
  storageDriver: DriverName | undefined;
  pidFile: string;
  /** At least one. */
  listenOn: ListenAddress[];
  /** Undefined: the group `docker`, where the machine has one. */
  socketGroup: string | undefined;
  /** `key=value`, no key twice. */
  labels: string[];
  shutdownTimeoutMs: number;
  logLevel: LogLevel;
  debug: boolean;

  bridge: ReturnType<typeof readDefaultNetwork>;
  addressPools: ReturnType<typeof readAddressPools>;
  dns: { servers: string[]; options: string[]; search: string[] };

  registries: {
    insecure: string[];
    mirrors: string[];
    maxConcurrentDownloads: number;
    maxConcurrentUploads: number;
    maxDownloadAttempts: number;
  };

  /** Added ones only; crun and runc are looked for on the PATH. */
  runtimes: Map<string, RuntimeChoice>;
  defaultRuntime: string | undefined;
  containers: ContainerDefaults;
  logs: LogConfig;
  buildCache: CachePolicy;
}

/** What the command line asks for: to run, or to print something and exit. */
export type DaemonCommand = { kind: "run"; config: DaemonConfig; notes: string[] } | { kind: "print"; text: string };

const DEFAULT_CONFIG_FILE = "/etc/tsubo/daemon.json";
const DEFAULT_ROOTS: Roots = { data: "/var/lib/tsubo", exec: "/run/tsubo" };
const SHUTDOWN_TIMEOUT_SECONDS = 15;

/** Reads all of it. Rejects with kind `invalid` and a message fit for standard error; the process then exits with 1. */
export async function readDaemonConfig(args: readonly string[]): Promise<DaemonCommand> {
  let flags: FlagValues;
  try {
    flags = parseFlags(args, [...DAEMON_FLAGS, ...PROGRAM_FLAGS]);
  } catch (error) {
    throw new EngineError("invalid", `${messageOf(error)}\nSee 'tsubod --help'.`);
  }
  if (flags.get("help") === true) return { kind: "print", text: helpText() };
  if (flags.get("version") === true) return { kind: "print", text: `Tsubo version ${VERSION}\n` };

  const file = String(flags.get("config-file") ?? DEFAULT_CONFIG_FILE);
  const fileValues = await readConfigFile(file);
  if (fileValues === undefined && flags.has("config-file")) throw failure(file, `open ${file}: no such file or directory`);
  checkConfigFile(file, fileValues ?? new Map(), flags);
  const settings = new Settings(flags, fileValues ?? new Map(), file);
  refuseMissingProtections(settings);
  const config = await readSettings(settings);
  if (flags.get("validate") === true) return { kind: "print", text: "configuration OK\n" };
  return { kind: "run", config, notes: [...notesOf(settings), ...notesOnListening(config, settings)] };
}

/** Docker had two for overlays; the older one's name stands in many config files. */
function readStorageDriver(name: string | undefined): DriverName | undefined {
  if (name === undefined || name === "") return undefined;
  const driver = driverNamed(name === "overlay" ? "overlay2" : name);
  if (driver === undefined)
    throw new EngineError("invalid", `storage-driver: there is no driver ${JSON.stringify(name)}: overlay2 and vfs are`);
  return driver;
}

async function readSettings(settings: Settings): Promise<DaemonConfig> {
  const roots: Roots = {
    data: path.resolve(settings.text("data-root") ?? DEFAULT_ROOTS.data),
    exec: path.resolve(settings.text("exec-root") ?? DEFAULT_ROOTS.exec),
  };
  const debug = settings.boolean("debug") ?? false;
  const logs: LogConfig = { type: settings.text("log-driver") ?? "json-file", options: settings.pairs("log-opt") };
  checkLogConfig(logs);
  const socketPath = path.join(roots.exec, "tsubo.sock");
  const hosts = settings.list("host");
  return {
    roots,
    storageDriver: readStorageDriver(settings.text("storage-driver")),
    pidFile: path.resolve(settings.text("pidfile") ?? path.join(roots.exec, "tsubo.pid")),
    listenOn: (hosts.length > 0 ? hosts : [""]).map((host) => parseListenAddress(host, socketPath)),
    socketGroup: settings.text("group"),
    labels: readLabels(settings.list("label")),
    shutdownTimeoutMs: settings.count("shutdown-timeout", SHUTDOWN_TIMEOUT_SECONDS) * 1000,
    logLevel: debug ? "debug" : readLogLevel(settings.text("log-level") ?? "info"),
    debug,
    bridge: readDefaultNetwork(settings),
    addressPools: readAddressPools(settings),
    dns: { servers: readAddresses("dns", settings.list("dns")), options: settings.list("dns-opt"), search: settings.list("dns-search") },
    registries: {
      insecure: settings.list("insecure-registry"),
      mirrors: settings.list("registry-mirror").map(readMirror),
      maxConcurrentDownloads: settings.count("max-concurrent-downloads", 3) || 3,
      maxConcurrentUploads: settings.count("max-concurrent-uploads", 5) || 5,
      maxDownloadAttempts: settings.count("max-download-attempts", 5) || 5,
    },
    runtimes: readRuntimes(settings),
    defaultRuntime: settings.text("default-runtime") || undefined,
    containers: await readContainerDefaults(settings),
    logs,
    buildCache: readCachePolicy(settings.object("builder")),
  };
}

function readLabels(labels: string[]): string[] {
  const byKey = new Map<string, string>();
  for (const label of labels) {
    const separator = label.indexOf("=");
    if (separator < 1) throw new EngineError("invalid", `bad attribute format: ${label}`);
    const key = label.slice(0, separator);
    const earlier = byKey.get(key);
    if (earlier !== undefined && earlier !== label) throw new EngineError("invalid", `conflict labels for ${label} and ${earlier}`);
    byKey.set(key, label);
  }
  return [...byKey.values()];
}

function readLogLevel(text: string): LogLevel {
  switch (text.toLowerCase()) {
    case "trace":
    case "debug":
      return "debug";
    case "info":
      return "info";
    case "warn":
      return "warn";
    case "error":
      return "error";
    case "fatal":
    case "panic":
      return "fatal";
    default:
      throw new EngineError("invalid", `invalid logging level: ${text}`);
  }
}

function readAddresses(name: string, texts: string[]): string[] {
  const addresses = texts.flatMap((text) => text.split(",")).filter(Boolean);
  for (const address of addresses) if (isIP(address) === 0) throw new EngineError("invalid", `${name}: invalid IP address: ${address}`);
  return addresses;
}

function readMirror(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !["http:", "https:"].includes(url.protocol)) {
    throw new EngineError("invalid", `invalid mirror: "${text}" must be an http:// or https:// address`);
  }
  if (url.username !== "" || url.password !== "")
    throw new EngineError("invalid", "invalid mirror: username and password are not allowed in the address");
  if (url.search !== "" || url.hash !== "") throw new EngineError("invalid", `invalid mirror: query or fragment at the end of "${text}"`);
  return text.replace(/\/+$/, "");
}

/** `--add-runtime NAME=PATH`, and `"runtimes": {NAME: {"path": …, "runtimeArgs": […]}}`. */
function readRuntimes(settings: Settings): Map<string, RuntimeChoice> {
  const runtimes = new Map<string, RuntimeChoice>();
  for (const [name, value] of Object.entries(settings.object("add-runtime"))) {
    const runtime = isObject(value) ? value : {};
    const args = runtime["runtimeArgs"] ?? [];
    if (typeof runtime["path"] !== "string" || !Array.isArray(args) || !args.every((arg) => typeof arg === "string")) {
      throw new EngineError(
        "invalid",
        `runtime ${name}: {"path": PATH, "runtimeArgs": [ARGUMENT, …]} is wanted (containerd shims are not OCI runtimes)`,
      );
    }
    runtimes.set(name, { name, path: runtime["path"], args });
  }
  for (const [name, program] of settings.flagPairs("add-runtime")) {
    if (name === "" || program === "") throw new EngineError("invalid", `invalid runtime option: ${name}=${program}, NAME=PATH is wanted`);
    if (runtimes.has(name)) throw new EngineError("invalid", `runtime '${name}' was already defined`);
    runtimes.set(name, { name, path: program, args: [] });
  }
  return runtimes;
}

function notesOf(settings: Settings): string[] {
  return [
    ...DAEMON_FLAGS.flatMap((flag) =>
      "without" in flag && settings.has(flag.name) ? [`${flag.name} has no effect: ${flag.without}`] : [],
    ),
    ...[...FILE_ONLY_KEYS].flatMap(([key, why]) => (why !== undefined && settings.hasKey(key) ? [`${key} has no effect: ${why}`] : [])),
  ];
}

/** As dockerd 28: a warning, and a further one for an address that others reach, unless the user has said `--tls=false`. */
function notesOnListening({ listenOn }: DaemonConfig, settings: Settings): string[] {
  return listenOn.flatMap((address) => {
    if (address.kind === "unix") return [];
    const name = formatListenAddress(address);
    const notes = [
      `${name}: binding to an IP address without TLS is insecure and gives root access on this machine to everyone who reaches it`,
      `${name}: binding to an IP address, even on localhost, can also give access to scripts run in a browser`,
    ];
    if (settings.boolean("tls") === false || isLoopback(address.host)) return notes;
    return [...notes, `${name}: bind to 127.0.0.1 or a unix socket instead; to keep it so and not be told again say --tls=false`];
  });
}

function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127\.[\d.]+$/.test(host);
}

import type { Int64 } from "../../api/decode.ts";
import type { HostConfig } from "../../api/container-config.ts";
import type { HostFacts } from "../../kernel/host.ts";
import type { ContainerDefaults } from "./context.ts";
import type { ProcessUser } from "./user.ts";

/** `process` of the OCI runtime-spec: a container's first process, or one that exec adds. */
export interface OciProcess {
  terminal: boolean;
  consoleSize?: { height: number; width: number };
  user: { uid: number; gid: number; additionalGids: number[] };
  args: string[];
  env: string[];
  cwd: string;
  capabilities: { bounding: string[]; effective: string[]; permitted: string[] };
  rlimits: { type: string; soft: Int64; hard: Int64 }[];
  noNewPrivileges?: boolean;
  apparmorProfile?: string;
  oomScoreAdj?: number;
}

/**
 * Open files of a process that asks for no other limit, where the host allows as many. A limit is always written: the runtime's own is
 * Node's, which raises its soft limit to the hard one, and programs that close every descriptor up to it would crawl.
 */
const OPEN_FILES = { soft: 1024, hard: 524_288 };

const DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** The kernel writes RLIM_INFINITY as the largest unsigned number; Docker's API has -1 for it. */
const UNLIMITED = 2n ** 64n - 1n;

export function ociUser(user: ProcessUser): OciProcess["user"] {
  return { uid: user.uid, gid: user.gid, additionalGids: user.additionalGids };
}

export function ociCapabilities(names: readonly string[]): OciProcess["capabilities"] {
  return { bounding: [...names], effective: [...names], permitted: [...names] };
}

/** The container's limits, under them the daemon's, and under those our own for open files. */
export function buildRlimits(config: HostConfig, host: HostFacts, daemonUlimits: ContainerDefaults["ulimits"]): OciProcess["rlimits"] {
  const hard = Math.min(OPEN_FILES.hard, host.openFilesHardLimit);
  const byName = new Map<string, { soft: Int64; hard: Int64 }>([["nofile", { soft: Math.min(OPEN_FILES.soft, hard), hard }]]);
  for (const { name, soft, hard } of daemonUlimits) byName.set(name, { soft, hard });
  for (const { Name, Soft, Hard } of config.Ulimits ?? []) byName.set(Name, { soft: Soft, hard: Hard });
  return [...byName].map(([name, limit]) => ({
    type: `RLIMIT_${name.toUpperCase()}`,
    soft: unsigned(limit.soft),
    hard: unsigned(limit.hard),
  }));
}

function unsigned(value: Int64): Int64 {
  return value < 0 ? UNLIMITED : value;
}

/**
 * The environment: defaults, and over them what the container says. A name without `=` takes a default away. HOME comes last, as runc puts
 * it there; crun puts none for a user whom the image does not list.
 */
export function buildEnvironment(process: { hostname: string; tty: boolean; home: string }, overrides: readonly string[]): string[] {
  const defaults = [`PATH=${DEFAULT_PATH}`, `HOSTNAME=${process.hostname}`, ...(process.tty ? ["TERM=xterm"] : [])];
  const environment = mergeEnvironment(defaults, overrides);
  return environment.some((entry) => entry.startsWith("HOME=")) ? environment : [...environment, `HOME=${process.home}`];
}

/** Entries of `overrides` replace those of the same name, or are added. */
export function mergeEnvironment(defaults: readonly string[], overrides: readonly string[]): string[] {
  const byName = new Map<string, string>();
  for (const entry of [...defaults, ...overrides]) {
    const at = entry.indexOf("=");
    if (at < 0) byName.delete(entry);
    else byName.set(entry.slice(0, at), entry);
  }
  return [...byName.values()];
}

/** Docker's profile, where it is loaded; a profile that the user names must be there, and the runtime says so when it is not. */
export function chooseAppArmor(container: { option: string; privileged: boolean }, host: HostFacts): string | undefined {
  if (host.appArmor === undefined) return undefined;
  if (container.option !== "") return container.option;
  if (container.privileged) return "unconfined";
  return host.appArmor.profiles.has(DEFAULT_APPARMOR_PROFILE) ? DEFAULT_APPARMOR_PROFILE : undefined;
}

export const DEFAULT_APPARMOR_PROFILE = "docker-default";

/** Terminal size from the API's `[height, width]`; `[0, 0]` is none. */
export function ociConsoleSize(size: readonly number[] | undefined): OciProcess["consoleSize"] {
  const [height = 0, width = 0] = size ?? [];
  return height > 0 || width > 0 ? { height, width } : undefined;
}

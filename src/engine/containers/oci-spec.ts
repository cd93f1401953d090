import path from "node:path";

import { kernelIsAtLeast, UNPRIVILEGED_NETWORK_SYSCTLS, type HostFacts } from "../../kernel/host.ts";
import type { BindFacts } from "./bind-sources.ts";
import { chooseCapabilities } from "./capabilities.ts";
import type { Container } from "./container.ts";
import type { ContainerDefaults } from "./context.ts";
import type { DeviceFacts } from "./host-devices.ts";
import { namespaceMode } from "./namespace-modes.ts";
import { buildDevices, type OciDevice } from "./oci-devices.ts";
import { buildMounts, INIT_PATH_IN_CONTAINER, rootPropagation, type NetworkFiles, type OciMount } from "./oci-mounts.ts";
import { buildNamespaces, type JoinedNamespaces, type OciNamespace } from "./oci-namespaces.ts";
import {
  buildEnvironment,
  buildRlimits,
  chooseAppArmor,
  ociCapabilities,
  ociConsoleSize,
  ociUser,
  type OciProcess,
} from "./oci-process.ts";
import { buildResources, type OciResources } from "./oci-resources.ts";
import { chooseSeccomp, type OciSeccomp } from "./seccomp.ts";
import { parseSecurityOptions } from "./security-options.ts";
import type { ProcessUser } from "./user.ts";

/**
 * From a container to the `config.json` of the OCI runtime-spec that any runtime can carry out.
 *
 * A pure function: whatever must be asked of the host or of the image comes in. The defaults are Docker's, so that an image meets the
 * same inside here and there; each subject has its file (`oci-mounts.ts`, `oci-devices.ts`, …). Deliberate differences from dockerd:
 * the network namespace is joined by its path instead of being filled by a hook, a limit of open files is always written, and what is
 * empty is left out.
 */
export interface OciSpec {
  ociVersion: string;
  process: OciProcess;
  root: { path: string; readonly: boolean };
  hostname?: string;
  mounts: OciMount[];
  annotations?: Record<string, string>;
  linux: {
    namespaces: OciNamespace[];
    cgroupsPath: string;
    resources: OciResources;
    devices: OciDevice[];
    sysctl: Record<string, string>;
    seccomp?: OciSeccomp;
    maskedPaths: string[];
    readonlyPaths: string[];
    rootfsPropagation?: string;
  };
}

export interface SpecInput {
  container: Container;
  host: HostFacts;
  /** Of the mounted root file system; absolute. */
  rootfsPath: string;
  user: ProcessUser;
  /** From `lookUpDevices`. */
  devices: DeviceFacts;
  /** From `ensureBindSources`. */
  binds: BindFacts;
  joined: JoinedNamespaces;
  files: NetworkFiles;
  /** Variables that links bring. */
  linkEnvironment?: readonly string[] | undefined;
  /** Folder with the shared memory of a shareable container, or of the one whose IPC namespace is joined. */
  shmPath?: string | undefined;
  /** Of the daemon: where containers that name no parent have their cgroups. */
  cgroupParent: string;
  /** The host's init program, for `--init`. */
  initPath: string | undefined;
  /** The daemon's configuration for what a container leaves open. */
  defaults: SpecDefaults;
}

export type SpecDefaults = Pick<ContainerDefaults, "ulimits" | "init" | "noNewPrivileges" | "seccompProfile">;

const OCI_VERSION = "1.0.2";

/** Paths below /proc and /sys that tell of the host or reach into it (moby oci/defaults.go). */
const MASKED_PATHS: readonly string[] = [
  "/proc/asound",
  "/proc/acpi",
  "/proc/interrupts",
  "/proc/kcore",
  "/proc/keys",
  "/proc/latency_stats",
  "/proc/timer_list",
  "/proc/timer_stats",
  "/proc/sched_debug",
  "/proc/scsi",
  "/sys/firmware",
  "/sys/devices/virtual/powercap",
];
export const READONLY_PATHS: readonly string[] = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

export function maskedPaths(host: Pick<HostFacts, "thermalThrottlePaths">): string[] {
  return [...MASKED_PATHS, ...host.thermalThrottlePaths];
}

export function buildSpec(input: SpecInput): OciSpec {
  const { container, host } = input;
  const { config, hostConfig } = container;
  const security = parseSecurityOptions(hostConfig.SecurityOpt ?? []);
  const capabilities = capabilitiesOf(container, host);
  const seccompRequest = { option: security.seccomp, privileged: hostConfig.Privileged, capabilities };
  const seccomp = chooseSeccomp(seccompRequest, host, input.defaults.seccompProfile);
  const devices = buildDevices(hostConfig, input.devices);
  const initPath = wantsInit(container, input.defaults) ? input.initPath : undefined;
  const propagation = rootPropagation(container.mounts);
  return {
    ociVersion: OCI_VERSION,
    process: buildProcess(input, capabilities, initPath !== undefined),
    root: { path: input.rootfsPath, readonly: hostConfig.ReadonlyRootfs },
    ...(namespaceMode(hostConfig.UTSMode) === "host" ? {} : { hostname: config.Hostname }),
    mounts: buildMounts({
      container,
      files: input.files,
      shmPath: input.shmPath,
      initPath,
      writableCgroups: security.writableCgroups ?? hostConfig.Privileged,
      binds: input.binds,
      recursiveReadOnly: kernelIsAtLeast(host.kernel, 5, 12),
    }),
    ...(hostConfig.Annotations === undefined ? {} : { annotations: Object.fromEntries(hostConfig.Annotations) }),
    linux: {
      namespaces: buildNamespaces(hostConfig, input.joined),
      cgroupsPath: cgroupsPathOf(container, input.cgroupParent),
      resources: buildResources(hostConfig, devices.rules, input.devices),
      devices: devices.nodes,
      sysctl: buildSysctls(container, host),
      ...(seccomp === undefined ? {} : { seccomp }),
      maskedPaths: hostConfig.Privileged ? [] : (hostConfig.MaskedPaths ?? maskedPaths(host)),
      readonlyPaths: hostConfig.Privileged ? [] : (hostConfig.ReadonlyPaths ?? [...READONLY_PATHS]),
      ...(propagation === undefined ? {} : { rootfsPropagation: propagation }),
    },
  };
}

/** The container's cgroup: `/tsubo/ID`, or below the parent that it names. Never above the root of a hierarchy. */
export function cgroupsPathOf(container: Container, daemonParent: string): string {
  const parent = container.hostConfig.CgroupParent === "" ? daemonParent : container.hostConfig.CgroupParent;
  return path.posix.join("/", path.posix.normalize(`/${parent}`), container.id);
}

/** The final bounding set, for the first process and every exec. */
export function capabilitiesOf(container: Container, host: HostFacts): string[] {
  const { Privileged, CapAdd, CapDrop } = container.hostConfig;
  return chooseCapabilities({ privileged: Privileged, add: CapAdd ?? [], drop: CapDrop ?? [] }, host.capabilities);
}

/** `--init` says nothing in a pid namespace that has its init already. */
function wantsInit(container: Container, defaults: SpecDefaults): boolean {
  return (container.hostConfig.Init ?? defaults.init) && namespaceMode(container.hostConfig.PidMode) === "own";
}

function buildProcess(
  { container, host, user, defaults, linkEnvironment = [] }: SpecInput,
  capabilities: string[],
  withInit: boolean,
): OciProcess {
  const { config, hostConfig, command } = container;
  const security = parseSecurityOptions(hostConfig.SecurityOpt ?? []);
  const appArmor = chooseAppArmor({ option: security.appArmor, privileged: hostConfig.Privileged }, host);
  const consoleSize = config.Tty ? ociConsoleSize(hostConfig.ConsoleSize) : undefined;
  return {
    terminal: config.Tty,
    ...(consoleSize === undefined ? {} : { consoleSize }),
    user: ociUser(user),
    args: [...(withInit ? [INIT_PATH_IN_CONTAINER, "--"] : []), command.path, ...command.args],
    env: buildEnvironment({ hostname: config.Hostname, tty: config.Tty, home: user.home }, [...linkEnvironment, ...(config.Env ?? [])]),
    cwd: config.WorkingDir === "" ? "/" : config.WorkingDir,
    capabilities: ociCapabilities(capabilities),
    rlimits: buildRlimits(hostConfig, host, defaults.ulimits),
    ...((security.noNewPrivileges ?? defaults.noNewPrivileges) ? { noNewPrivileges: true } : {}),
    ...(appArmor === undefined ? {} : { apparmorProfile: appArmor }),
    ...(canHaveOomScore(hostConfig.OomScoreAdj, host) ? { oomScoreAdj: hostConfig.OomScoreAdj } : {}),
  };
}

/** A process without CAP_SYS_RESOURCE cannot go below its own score: writing it would fail the whole start. */
export function canHaveOomScore(score: number, host: HostFacts): boolean {
  return score >= host.oomScoreAdj || host.capabilities.has("CAP_SYS_RESOURCE");
}

function buildSysctls({ config, hostConfig }: Container, host: HostFacts): Record<string, string> {
  const sysctls = new Map<string, string>();
  if (config.Domainname !== "" && namespaceMode(hostConfig.UTSMode) !== "host") sysctls.set("kernel.domainname", config.Domainname);
  if (namespaceMode(hostConfig.NetworkMode) === "own") {
    for (const [name, value] of UNPRIVILEGED_NETWORK_SYSCTLS) if (host.sysctls.has(name)) sysctls.set(name, value);
  }
  for (const [name, value] of hostConfig.Sysctls ?? []) sysctls.set(name, value);
  return Object.fromEntries(sysctls);
}

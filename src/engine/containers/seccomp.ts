import { parseJson } from "../../api/json.ts";
import { EngineError, messageOf } from "../../base/errors.ts";
import type { ContainerDefaults } from "./context.ts";
import { kernelIsAtLeast, parseKernelVersion } from "../../kernel/host.ts";
import defaultProfile from "./seccomp-default.json" with { type: "json" };

/**
 * Which system calls a container may make.
 *
 * Docker's profile format says more than the OCI runtime-spec can: rules that hold only for some architectures, kernels, or with some
 * capabilities. What is left of a profile for one container on one host is its `linux.seccomp`. Rules are ORed; the runtime's libseccomp
 * ignores names of calls that it does not know. The default profile is moby's (`seccomp-default.json`, see NOTICE).
 */
export interface SeccompProfile {
  defaultAction?: string;
  defaultErrnoRet?: number;
  architectures?: string[] | null;
  archMap?: { architecture: string; subArchitectures: string[] | null }[] | null;
  flags?: string[];
  listenerPath?: string;
  listenerMetadata?: string;
  syscalls?: SeccompRule[] | null;
}

export interface SeccompRule {
  name?: string;
  names?: string[];
  action: string;
  errnoRet?: number;
  args?: SeccompArgument[] | null;
  includes?: RuleCondition;
  excludes?: RuleCondition;
}

interface RuleCondition {
  arches?: string[];
  caps?: string[];
  /** `4.8` */
  minKernel?: string;
}

interface SeccompArgument {
  index: number;
  value: number | bigint;
  valueTwo?: number | bigint;
  op: string;
}

/** The `linux.seccomp` of the OCI runtime-spec. */
export interface OciSeccomp {
  defaultAction: string;
  defaultErrnoRet?: number;
  architectures?: string[];
  flags?: string[];
  listenerPath?: string;
  listenerMetadata?: string;
  syscalls: { names: string[]; action: string; errnoRet?: number; args?: SeccompArgument[] }[];
}

export interface SeccompHost {
  /** Go's name. */
  architecture: string;
  kernel: { major: number; minor: number };
}

/**
 * The profile that the option `seccomp=` of a container names, or else the daemon's; undefined: no filter. `capabilities` is the final
 * bounding set.
 */
export function chooseSeccomp(
  container: { option: string; privileged: boolean; capabilities: readonly string[] },
  host: SeccompHost & { seccomp: boolean },
  daemonProfile: ContainerDefaults["seccompProfile"],
): OciSeccomp | undefined {
  const { privileged, capabilities } = container;
  if (privileged && container.option === "") return undefined;
  const option = container.option === "" ? optionOf(daemonProfile) : container.option;
  if (option === "unconfined") return undefined;
  const custom = option !== "builtin";
  if (!host.seccomp && !privileged) {
    if (custom) throw new EngineError("system", "seccomp is not enabled in your kernel, cannot run a custom seccomp profile");
    return undefined;
  }
  return compileSeccomp(custom ? parseSeccompProfile(option) : DEFAULT_PROFILE, capabilities, host);
}

function optionOf(profile: ContainerDefaults["seccompProfile"]): string {
  return profile.kind === "custom" ? profile.json : profile.kind;
}

// The file is what the interface says; TypeScript's inference makes a union with a member per rule of it.
const DEFAULT_PROFILE = defaultProfile as SeccompProfile;

/** Reads a profile's text. Docker says so only at start, and so do we. */
export function parseSeccompProfile(text: string): SeccompProfile {
  const fail = (why: string): EngineError => new EngineError("system", `Decoding seccomp profile failed: ${why}`);
  let raw: unknown;
  try {
    raw = parseJson(text);
  } catch (error) {
    throw fail(messageOf(error));
  }
  if (typeof raw !== "object" || raw === null || Array.isArray(raw)) throw fail("not a JSON object");
  // Checked as far as compileSeccomp reads it; the runtime refuses wrong actions, operators and names.
  const profile = raw as SeccompProfile;
  if (profile.syscalls !== undefined && profile.syscalls !== null && !Array.isArray(profile.syscalls)) throw fail("syscalls is not a list");
  for (const rule of profile.syscalls ?? []) {
    const isRule = typeof rule === "object" && rule !== null && typeof rule.action === "string";
    const hasNames = isRule && (typeof rule.name === "string" || Array.isArray(rule.names));
    if (!hasNames) throw fail("a rule without names or action");
  }
  return profile;
}

/** The rules of `profile` that hold for this container on this host; undefined for an empty profile. */
export function compileSeccomp(profile: SeccompProfile, capabilities: readonly string[], host: SeccompHost): OciSeccomp | undefined {
  const rules = profile.syscalls ?? [];
  if ((profile.defaultAction ?? "") === "" && rules.length === 0) return undefined;
  const architectures = profile.architectures ?? [];
  const archMap = profile.archMap ?? [];
  if (architectures.length > 0 && archMap.length > 0) {
    throw new EngineError(
      "system",
      "both 'architectures' and 'archMap' are specified in the seccomp profile, use either 'architectures' or 'archMap'",
    );
  }
  const own = archMap.find(({ architecture }) => architecture === SECCOMP_ARCHITECTURES[host.architecture]);
  const held = new Set(capabilities);
  return {
    defaultAction: profile.defaultAction ?? "",
    ...(profile.defaultErrnoRet === undefined ? {} : { defaultErrnoRet: profile.defaultErrnoRet }),
    ...(own ? { architectures: [own.architecture, ...(own.subArchitectures ?? [])] } : architectures.length > 0 ? { architectures } : {}),
    ...(profile.flags === undefined ? {} : { flags: profile.flags }),
    ...(profile.listenerPath === undefined ? {} : { listenerPath: profile.listenerPath }),
    ...(profile.listenerMetadata === undefined ? {} : { listenerMetadata: profile.listenerMetadata }),
    syscalls: rules.filter((rule) => holds(rule, held, host)).map(toOciRule),
  };
}

function holds({ includes = {}, excludes = {} }: SeccompRule, held: ReadonlySet<string>, host: SeccompHost): boolean {
  const architecture = FILTER_ARCHITECTURES[host.architecture] ?? host.architecture;
  const reaches = (version: string): boolean => {
    const { major, minor } = parseKernelVersion(version);
    return kernelIsAtLeast(host.kernel, major, minor);
  };
  if (excludes.arches?.includes(architecture)) return false;
  if (excludes.caps?.some((name) => held.has(name))) return false;
  if (excludes.minKernel !== undefined && reaches(excludes.minKernel)) return false;
  if (includes.arches !== undefined && includes.arches.length > 0 && !includes.arches.includes(architecture)) return false;
  if (includes.caps?.some((name) => !held.has(name))) return false;
  return includes.minKernel === undefined || reaches(includes.minKernel);
}

function toOciRule(rule: SeccompRule): OciSeccomp["syscalls"][number] {
  const { name, names = [], action, errnoRet } = rule;
  if (name !== undefined && name !== "" && names.length > 0) {
    throw new EngineError("system", "both 'name' and 'names' are specified in the seccomp profile, use either 'name' or 'names'");
  }
  const args = rule.args ?? [];
  return {
    names: name !== undefined && name !== "" ? [name] : names,
    action,
    ...(errnoRet === undefined ? {} : { errnoRet }),
    ...(args.length > 0 ? { args } : {}),
  };
}

/** Go's names of architectures to those of the OCI runtime-spec. */
const SECCOMP_ARCHITECTURES: Readonly<Record<string, string>> = {
  "386": "SCMP_ARCH_X86",
  amd64: "SCMP_ARCH_X86_64",
  arm: "SCMP_ARCH_ARM",
  arm64: "SCMP_ARCH_AARCH64",
  loong64: "SCMP_ARCH_LOONGARCH64",
  mips64le: "SCMP_ARCH_MIPSEL64",
  ppc64le: "SCMP_ARCH_PPC64LE",
  riscv64: "SCMP_ARCH_RISCV64",
  s390x: "SCMP_ARCH_S390X",
};

/** The same to those in a rule's conditions (libseccomp's own), where they differ. */
const FILTER_ARCHITECTURES: Readonly<Record<string, string>> = { "386": "x86", loong64: "loongarch64", mips64le: "mipsel64" };

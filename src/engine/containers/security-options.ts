import { EngineError } from "../../base/errors.ts";

/** `HostConfig.SecurityOpt`, read. */
export interface SecurityOptions {
  /** Undefined: as the daemon's configuration says. */
  noNewPrivileges: boolean | undefined;
  /** Undefined: as `privileged` says. */
  writableCgroups: boolean | undefined;
  /** Empty: the default profile; `unconfined`, `builtin`, or a profile's JSON text (the CLI sends the file's content). */
  seccomp: string;
  /** Empty: the default profile. */
  appArmor: string;
  /** SELinux: `disable`, `type:…`, `level:…`. */
  labels: string[];
}

/** Reads the options, or refuses one in Docker's words. `name:value` is the old way of writing `name=value`. */
export function parseSecurityOptions(options: readonly string[]): SecurityOptions {
  const result: SecurityOptions = { noNewPrivileges: undefined, writableCgroups: undefined, seccomp: "", appArmor: "", labels: [] };
  for (const option of options) {
    if (option === "no-new-privileges") {
      result.noNewPrivileges = true;
    } else if (option === "writable-cgroups") {
      result.writableCgroups = true;
    } else if (option === "disable") {
      result.labels.push("disable");
    } else {
      applyOption(result, option);
    }
  }
  return result;
}

function applyOption(result: SecurityOptions, option: string): void {
  const separator = option.includes("=") ? "=" : ":";
  const at = option.indexOf(separator);
  if (at < 0) throw new EngineError("invalid", `invalid --security-opt 1: ${JSON.stringify(option)}`);
  const value = option.slice(at + 1);
  switch (option.slice(0, at)) {
    case "label":
      result.labels.push(value);
      return;
    case "apparmor":
      result.appArmor = value;
      return;
    case "seccomp":
      result.seccomp = value;
      return;
    case "no-new-privileges":
      result.noNewPrivileges = parseFlag(value, option);
      return;
    case "writable-cgroups":
      result.writableCgroups = parseFlag(value, option);
      return;
    default:
      throw new EngineError("invalid", `invalid --security-opt 2: ${JSON.stringify(option)}`);
  }
}

/** The words that Go's strconv.ParseBool takes. */
function parseFlag(value: string, option: string): boolean {
  if (["1", "t", "T", "true", "TRUE", "True"].includes(value)) return true;
  if (["0", "f", "F", "false", "FALSE", "False"].includes(value)) return false;
  throw new EngineError("invalid", `invalid --security-opt 2: ${JSON.stringify(option)}`);
}

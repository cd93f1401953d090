import type { ExecConfig } from "../../api/container-config.ts";
import type { HostFacts } from "../../kernel/host.ts";
import type { Container } from "./container.ts";
import {
  buildEnvironment,
  buildRlimits,
  chooseAppArmor,
  ociCapabilities,
  ociConsoleSize,
  ociUser,
  type OciProcess,
} from "./oci-process.ts";
import { canHaveOomScore, capabilitiesOf, type SpecDefaults } from "./oci-spec.ts";
import { parseSecurityOptions } from "./security-options.ts";
import type { ProcessUser } from "./user.ts";

export interface ExecProcessInput {
  container: Container;
  config: ExecConfig;
  /** Of the exec, or else of the container. */
  user: ProcessUser;
  host: HostFacts;
  defaults: SpecDefaults;
  linkEnvironment: readonly string[];
}

/**
 * The `process` of an exec: like the container's own but for what the exec says. `--privileged` gives it all capabilities and nothing
 * else: seccomp, AppArmor and namespaces stay the container's.
 */
export function buildExecProcess({ container, config, user, host, defaults, linkEnvironment }: ExecProcessInput): OciProcess {
  const { hostConfig } = container;
  const security = parseSecurityOptions(hostConfig.SecurityOpt ?? []);
  const appArmor = chooseAppArmor({ option: security.appArmor, privileged: hostConfig.Privileged }, host);
  const consoleSize = config.Tty ? ociConsoleSize(config.ConsoleSize) : undefined;
  const overrides = [...linkEnvironment, ...(container.config.Env ?? []), ...(config.Env ?? [])];
  const workingDir = config.WorkingDir === "" ? container.config.WorkingDir : config.WorkingDir;
  return {
    terminal: config.Tty,
    ...(consoleSize === undefined ? {} : { consoleSize }),
    user: ociUser(user),
    args: config.Cmd ?? [],
    env: buildEnvironment({ hostname: container.config.Hostname, tty: config.Tty, home: user.home }, overrides),
    cwd: workingDir === "" ? "/" : workingDir,
    capabilities: ociCapabilities(config.Privileged ? [...host.capabilities] : capabilitiesOf(container, host)),
    rlimits: buildRlimits(hostConfig, host, defaults.ulimits),
    ...((security.noNewPrivileges ?? defaults.noNewPrivileges) ? { noNewPrivileges: true } : {}),
    ...(appArmor === undefined ? {} : { apparmorProfile: appArmor }),
    ...(canHaveOomScore(hostConfig.OomScoreAdj, host) ? { oomScoreAdj: hostConfig.OomScoreAdj } : {}),
  };
}

import { accessSync, constants } from "node:fs";
import path from "node:path";

import { EngineError } from "../base/errors.ts";
import type { RuntimeChoice } from "../keeper/keeper.ts";
import type { HostFacts } from "../kernel/host.ts";
import type { DaemonConfig } from "./daemon-config/daemon-config.ts";

/** The programs of the host that containers need, looked for once at start-up. */

/** The first of these that is installed is the default: a container starts in half the time with crun. */
const RUNTIMES = ["crun", "runc"];
const INITS = ["tini-static", "catatonit", "tini", "docker-init"];
const FOLDERS = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin", "/usr/libexec", "/usr/libexec/podman"];

export function findRuntimes(config: DaemonConfig, host: HostFacts): { runtimes: Map<string, RuntimeChoice>; defaultRuntime: string } {
  const runtimes = new Map<string, RuntimeChoice>();
  for (const name of RUNTIMES) {
    const file = findProgram(name);
    if (file !== undefined) runtimes.set(name, { name, path: file, args: [] });
  }
  for (const [name, runtime] of config.runtimes) runtimes.set(name, runtime);
  const preferred = crunRefuses(host) ? RUNTIMES.toReversed() : RUNTIMES;
  const defaultRuntime = config.defaultRuntime ?? preferred.find((name) => runtimes.has(name)) ?? [...runtimes.keys()][0];
  if (defaultRuntime === undefined) {
    throw new EngineError("system", `no OCI runtime found: install one (apt-get install ${RUNTIMES[0]}) or name one with --add-runtime`);
  }
  if (!runtimes.has(defaultRuntime)) {
    throw new EngineError(
      "invalid",
      `specified default runtime '${defaultRuntime}' does not exist: install it or name it with --add-runtime`,
    );
  }
  // Clients ask for Docker's own by this name (docker run --runtime io.containerd.runc.v2).
  const runc = runtimes.get("runc") ?? runtimes.get(defaultRuntime);
  if (runc !== undefined && !runtimes.has("io.containerd.runc.v2")) runtimes.set("io.containerd.runc.v2", runc);
  return { runtimes, defaultRuntime };
}

/**
 * Hosts that crun starts no container on: a hybrid one whose v2 side has controllers, and on v2 one where the limit of locked memory cannot
 * be raised, which crun does for its device filter (seen with 1.8.1).
 */
function crunRefuses({ cgroups, capabilities }: HostFacts): boolean {
  if (cgroups.mode === "hybrid") return (cgroups.unified?.controllers.size ?? 0) > 0;
  return cgroups.mode === "v2" && !capabilities.has("CAP_SYS_RESOURCE");
}

/** An init program that `--init` puts into containers; undefined where none is installed. */
export function findInit(): string | undefined {
  return INITS.map(findProgram).find((file) => file !== undefined);
}

function findProgram(name: string): string | undefined {
  return FOLDERS.map((folder) => path.join(folder, name)).find((file) => {
    try {
      accessSync(file, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

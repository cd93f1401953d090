import { execFile } from "node:child_process";

import { API_VERSION, MIN_API_VERSION } from "../../api/versions.ts";
import { VERSION } from "../../base/version.ts";
import type { RuntimeChoice } from "../../keeper/keeper.ts";
import type { HostFacts } from "../../kernel/host.ts";
import type { VersionReport } from "./system.ts";

/**
 * The version that clients see begins with that of the Docker whose behaviour this is, because some look at it before they talk to a
 * daemon: minikube refuses anything below 18.09 and takes what follows a dash for a channel. Compose and the SDKs go by the API's version.
 * Our own stands behind the dash, and alone as the component `Tsubo`.
 */
const DOCKER_VERSION = "28.2.2";
export const SERVER_VERSION = `${DOCKER_VERSION}-tsubo.${VERSION}`;

const TIMEOUT_MS = 5000;

/** What each OCI runtime says of itself, by its name here. */
export type RuntimeVersions = ReadonlyMap<string, RuntimeVersion>;
interface RuntimeVersion {
  version: string;
  commit: string;
}

/** Asks all of them. One that does not answer has no version. */
export async function readRuntimeVersions(runtimes: Iterable<RuntimeChoice>): Promise<RuntimeVersions> {
  return new Map(
    await Promise.all([...runtimes].map(async ({ name, path }) => [name, parseRuntimeVersion(await askVersion(path))] as const)),
  );
}

/** `crun version 1.8.1`, `runc version 1.1.5+ds1`, and a line with the commit. */
export function parseRuntimeVersion(output: string): RuntimeVersion {
  return {
    version: /^\S+ version (\S+)/m.exec(output)?.[1] ?? "",
    commit: /^commit: (\S+)/m.exec(output)?.[1] ?? "",
  };
}

/** `GET /version` (Engine API 1.50, SystemVersion). */
export function versionReport(host: HostFacts, versions: RuntimeVersions): VersionReport {
  const node = `node ${process.version}`;
  return {
    Platform: { Name: "Tsubo" },
    Components: [
      {
        Name: "Engine",
        Version: SERVER_VERSION,
        Details: {
          ApiVersion: API_VERSION,
          Arch: host.architecture,
          BuildTime: "",
          Experimental: "false",
          GitCommit: "",
          GoVersion: node,
          KernelVersion: host.kernelRelease,
          MinAPIVersion: MIN_API_VERSION,
          Os: "linux",
        },
      },
      { Name: "Tsubo", Version: VERSION, Details: { GitCommit: "" } },
      ...[...versions].map(([Name, { version, commit }]) => ({ Name, Version: version, Details: { GitCommit: commit } })),
    ],
    Version: SERVER_VERSION,
    ApiVersion: API_VERSION,
    MinAPIVersion: MIN_API_VERSION,
    GitCommit: "",
    GoVersion: node,
    Os: "linux",
    Arch: host.architecture,
    KernelVersion: host.kernelRelease,
    BuildTime: "",
  };
}

function askVersion(program: string): Promise<string> {
  return new Promise((resolve) => {
    execFile(program, ["--version"], { timeout: TIMEOUT_MS }, (error, stdout) => resolve(error === null ? stdout : ""));
  });
}

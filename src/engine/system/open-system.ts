import { API_VERSION, MIN_API_VERSION } from "../../api/versions.ts";
import { VERSION } from "../../base/version.ts";
import type { Keeper } from "../../keeper/keeper.ts";
import type { Database } from "../../store/database.ts";
import type { LayerDriver } from "../../store/layers.ts";
import { cgroupsPathOf } from "../containers/oci-spec.ts";
import type { Networks } from "../networks/networks.ts";
import { runDoctor } from "./doctor.ts";
import { systemInfo, type InfoSources } from "./info.ts";
import type { System } from "./system.ts";

export interface SystemOptions extends InfoSources {
  database: Database;
  networks: Networks;
  keeper: Keeper;
  layers: LayerDriver;
}

export function openSystem(options: SystemOptions): System {
  const { host, settings, set, networks, keeper, layers } = options;
  return {
    info: () => Promise.resolve(systemInfo(options)),

    version: () =>
      Promise.resolve({
        Platform: { Name: "Tsubo" },
        Components: [
          {
            Name: "Engine",
            Version: VERSION,
            Details: {
              ApiVersion: API_VERSION,
              Arch: host.architecture,
              Experimental: "false",
              KernelVersion: host.kernelRelease,
              MinAPIVersion: MIN_API_VERSION,
              Os: "linux",
            },
          },
          { Name: "node", Version: process.version },
        ],
        Version: VERSION,
        ApiVersion: API_VERSION,
        MinAPIVersion: MIN_API_VERSION,
        GitCommit: "",
        GoVersion: "",
        Os: "linux",
        Arch: host.architecture,
        KernelVersion: host.kernelRelease,
      }),

    doctor: () =>
      runDoctor({
        roots: options.roots,
        database: options.database,
        cgroupParent: settings.cgroupParent,
        containers: () =>
          set.all().map((container) => ({
            id: container.id,
            pid: container.state.status === "running" ? container.state.pid : undefined,
            cgroupsPath: cgroupsPathOf(container, settings.cgroupParent),
          })),
        kept: async () => (await keeper.list()).map(({ id, pid, exit }) => ({ id, pid, isRunning: exit === undefined })),
        networks: async () => ({ expected: networks.expectedObjects(), found: await networks.kernelObjects() }),
        isBeingFilled: (folder) => layers.isBeingFilled(folder),
      }),
  };
}

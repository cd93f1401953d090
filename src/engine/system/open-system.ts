import type { Keeper } from "../../keeper/keeper.ts";
import type { Database } from "../../store/database.ts";
import type { LayerDriver } from "../../store/layers.ts";
import { cgroupsPathOf } from "../containers/oci-spec.ts";
import type { Networks } from "../networks/networks.ts";
import { readRuntimeVersions, versionReport, type RuntimeVersions } from "./component-versions.ts";
import { diskUsage, type DiskUsageSources } from "./disk-usage.ts";
import { runDoctor } from "./doctor.ts";
import { readFixedFacts, systemInfo, type InfoSources } from "./info.ts";
import { LoopLag } from "./lag.ts";
import type { System } from "./system.ts";

export interface SystemOptions extends InfoSources, Pick<DiskUsageSources, "buildCache" | "volumes"> {
  database: Database;
  networks: Networks;
  keeper: Keeper;
  layers: LayerDriver;
}

export function openSystem(options: SystemOptions): System {
  const { host, settings, set, networks, keeper, layers } = options;
  const fixed = readFixedFacts(options.roots);
  const lag = new LoopLag();
  let asked: Promise<RuntimeVersions> | undefined;
  const versions = (): Promise<RuntimeVersions> => (asked ??= readRuntimeVersions(settings.runtimes.values()));
  return {
    info: async () => systemInfo(options, fixed, await versions()),

    version: async () => versionReport(host, await versions()),

    diskUsage: (parts) => diskUsage(options, parts),

    lag: (reset) => lag.report(reset),

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
            volumes: container.mounts.filter(({ type }) => type === "volume").map(({ name }) => name),
          })),
        kept: async () => (await keeper.list()).map(({ id, pid, exit }) => ({ id, pid, isRunning: exit === undefined })),
        networks: async () => ({ expected: networks.expectedObjects(), found: await networks.kernelObjects() }),
        isBeingFilled: (folder) => layers.isBeingFilled(folder),
      }),
  };
}

import type { DiskUsage, DiskUsagePart } from "./disk-usage.ts";
import type { DoctorReport } from "./doctor.ts";
import type { LagReport } from "./lag.ts";

/**
 * The daemon about itself: what it is, what it runs on, and whether everything is where it should be. It keeps no state of its own; it asks
 * the other parts and the kernel when it is asked.
 */
export interface System {
  /** The shape of `GET /info` (Engine API 1.50, `SystemInfo`). Must answer quickly: clients ask before every other command. */
  info(): Promise<Record<string, unknown>>;

  /** `GET /version`. */
  version(): Promise<VersionReport>;

  /** `GET /system/df`: only the parts that are asked for, as measuring takes time. */
  diskUsage(parts: ReadonlySet<DiskUsagePart>): Promise<DiskUsage>;

  /** `GET /tsubo/doctor`: the database against the kernel against the disk. An empty list is good health. */
  doctor(): Promise<DoctorReport>;

  /** `GET /tsubo/lag`: how long the event loop was held up since the last `reset`. The first call begins to measure. */
  lag(reset: boolean): LagReport;
}

/** Engine API 1.50, `SystemVersion`. ApiVersion and MinAPIVersion are those of `api/versions.ts`. */
export interface VersionReport {
  Platform: { Name: string };
  Components: { Name: string; Version: string; Details?: Record<string, string> }[];
  Version: string;
  ApiVersion: string;
  MinAPIVersion: string;
  GitCommit: string;
  /** Clients expect the member; ours names Node. */
  GoVersion: string;
  Os: string;
  Arch: string;
  KernelVersion: string;
  BuildTime?: string;
}

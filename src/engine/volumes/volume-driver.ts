import type { VolumeRecord } from "./volume-records.ts";

/**
 * A kind of volume. `validate` refuses options and touches nothing; everything else may be repeated. What `mount` gives is there until
 * `unmount`, over restarts of the daemon.
 */
export interface VolumeDriver {
  validate(volume: VolumeRecord): void;
  create(volume: VolumeRecord): Promise<void>;
  remove(volume: VolumeRecord): Promise<void>;
  /** Where the data is seen while it is mounted. */
  mountpoint(volume: VolumeRecord): string;
  mount(volume: VolumeRecord): Promise<void>;
  unmount(volume: VolumeRecord): Promise<void>;
  /** Volumes that are mounted now. */
  mounted(): Promise<string[]>;
}

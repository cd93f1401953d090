import type { VolumeRecord } from "./volume-records.ts";

/**
 * A kind of volume. `validate` refuses options and touches nothing; everything else may be repeated. What `mount` gives is there until
 * `unmount`, over restarts of the daemon.
 */
export interface VolumeDriver {
  validate(volume: VolumeRecord): void;
  create(volume: VolumeRecord): Promise<void>;
  /** Takes nothing along that is not the volume's. */
  remove(volume: VolumeRecord): Promise<void>;
  /** Where the data is seen while it is mounted. */
  mountpoint(volume: VolumeRecord): string;
  mount(volume: VolumeRecord): Promise<void>;
  unmount(volume: VolumeRecord): Promise<void>;
  /**
   * The folder in which content is brought together before it becomes the volume's, on the same file system as the data and there while that
   * is mounted. `isApart`: it is for all volumes, not within the data, and what is in it may take the place of the data's folder.
   */
  staging(volume: VolumeRecord): { folder: string; isApart: boolean };
}

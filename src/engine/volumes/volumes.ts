/**
 * Volumes: data that outlives containers.
 *
 * A *volume* has a name, a *driver* that knows where its data is, labels and the driver's options. It is made by hand, or by the first
 * container that names it; an *anonymous* one is made for one container and goes with it (`rm -v`). The content that an image has at a
 * volume's place is copied into it once, while it is empty (*copy-up*), and all or nothing of it. A volume that a container names, running or
 * not, cannot be removed.
 *
 * Records are rows of state.db, data is below DATA ROOT/volumes/NAME/_data. A record is written before the folder is made and struck out
 * after the folder is gone, so that a start after a crash finishes either.
 */
export interface Volumes {
  /** Makes a volume, or gives the one there is of that name; `""` makes up a name. */
  create(request: VolumeRequest): Promise<Volume>;
  /** `notFound` where there is none. */
  inspect(name: string): Volume;
  list(filters: ReadonlyMap<string, readonly string[]>): Volume[];
  /** `conflict` while a container names it, but for one that is going itself. By force also one that is not there. */
  remove(name: string, options: { force: boolean; goingContainer?: string }): Promise<void>;
  /** Removes what no container names: anonymous ones, or with `all` the others, too. */
  prune(filters: ReadonlyMap<string, readonly string[]>): Promise<{ names: string[]; bytes: number }>;
  /** Bytes of what is in it, and how many containers name it, for `system df`. */
  usage(): Promise<(Volume & { bytes: number; users: number })[]>;

  /** Keeps a volume from being removed until it is released: for a container that is being made and that nobody knows yet. */
  hold(name: string): { release: () => void };
  /** Copies a tree into a volume, its root's owner, mode and times too, unless something is in it already. `volatile`: a crash may take it. */
  fill(name: string, source: FillSource, options: { volatile: boolean }): Promise<void>;

  /** Where its data is; made so for as long as a container that runs has it. */
  mount(name: string, containerId: string): Promise<string>;
  /** A container that had it has ended. */
  unmount(name: string, containerId: string): Promise<void>;
  /** After a start: volumes that no running container has are unmounted, and what a crash left is finished. */
  restore(runningContainerIds: readonly string[]): Promise<void>;
}

export interface VolumeRequest {
  name: string;
  driver: string;
  /** Undefined and empty are shown as they were asked for. */
  options: ReadonlyMap<string, string> | undefined;
  labels: ReadonlyMap<string, string> | undefined;
}

export interface Volume {
  name: string;
  driver: string;
  /** RFC 3339, in seconds. */
  created: string;
  labels: Record<string, string> | null;
  options: Record<string, string> | null;
  mountpoint: string;
  isAnonymous: boolean;
}

/** Gives the folder to copy from, for as long as `use` takes; undefined where the image has nothing there. */
export type FillSource = (use: (folder: string) => Promise<void>) => Promise<void>;

/** The label by which Docker knows anonymous volumes (since 23.0). */
export const ANONYMOUS_LABEL = "com.docker.volume.anonymous";

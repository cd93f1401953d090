/**
 * How a storage driver makes one tree of layers' folders. The folders themselves are the same for all of them, in overlayfs's format (folder-
 * driver.ts): what differs is how they are shown and written to.
 */
export interface Mounting {
  readonly name: string;
  /** Mounts lower folders (uppermost first) and what is written on top of them. */
  mount(tree: WritableTree, target: string): Promise<void>;
  /** Brings what was written into the upper folder, where the kernel does not put it there. */
  collect(tree: WritableTree, signal?: AbortSignal): Promise<void>;
  mountReadOnly(lower: string[], target: string): Promise<void>;
  unmount(target: string): Promise<void>;
  /** A layer's folder is filled, and so are those below it: whatever makes mounting it quick may be made now. */
  complete(folder: string, below: string[], signal?: AbortSignal): Promise<void>;
  /** Mounts of folders in our roots, made by us or by an earlier daemon, by the uppermost folder of each. */
  found(): { folder: string; target: string }[];
}

export interface WritableTree {
  /** Gets what is written. */
  upper: string;
  /** The kernel's, beside it. */
  work: string;
  /** Uppermost first; none at the bottom. */
  lower: string[];
  /** A crash may take what was written. */
  volatile: boolean;
}

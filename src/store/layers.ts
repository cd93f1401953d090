/**
 * Layers: what images and containers are made of.
 *
 * The engine asks a driver for *snapshots* and never assumes that one is a folder: an image layer is committed under its chainID
 * (image-spec, "Layer ChainID") and never changes; a container's writable layer is prepared on top of one, mounted for as long as the
 * container runs, and removed with it.
 *
 * A *staged* layer is one that is being filled: private, unknown to everybody else, deleted at start-up when a crash left it. It is filled
 * from an archive (`apply`) or in place (`mount`), never both.
 *
 * Work on a layer's content runs in child processes (child/pool.ts): reading archives, hashing, packing.
 */
export interface LayerDriver {
  readonly name: string;

  /** True when the layer is there, whole and durable. */
  has(chainId: string): boolean;

  /** Starts a new layer on top of `parent` (undefined: the bottom; it need not be committed yet). */
  stage(parent: LayerParent): Promise<StagedLayer>;

  /**
   * A new layer with what a container has written, on top of what the container was made from. `frozen`: nothing writes to it meanwhile
   * (it does not run, or is paused), so that it may be hashed while it is copied.
   */
  stageCopyOfWritable(containerId: string, options: { frozen: boolean }, signal?: AbortSignal): Promise<StagedLayer>;

  /** A new layer with the same content as another (its uppermost layer alone), on top of `parent`. Files may be shared: neither is written to. */
  stageSame(content: LayerParent, parent: LayerParent, signal?: AbortSignal): Promise<StagedLayer>;

  /**
   * Makes staged layers durable and known under their chainIDs, lowest first: one sync of the file system, then one transaction. A layer
   * that is known meanwhile stays as it is. Whoever staged them aborts them afterwards in any case: that throws away what was not taken.
   */
  commit(layers: FinishedLayer[]): Promise<void>;

  /** Bytes of the regular files and symlinks in one layer, and the chain above which it sits. */
  describe(chainId: string): ({ parent: string | undefined } & LayerContent) | undefined;

  /**
   * Writes a layer's tar to the file at `target` (made, or emptied): the very bytes that its diffID is the digest of, or, with `gzip`,
   * these compressed. Fails when the store no longer holds what the diffID says. Answers what was written.
   */
  pack(chainId: string, target: string, options?: { gzip?: boolean }, signal?: AbortSignal): Promise<PackedLayer>;

  /** Mounts the whole tree at `target` (an existing folder) for reading; of a staged layer as it is then. */
  mountReadOnly(parent: LayerParent, target: string): Promise<void>;
  /** Takes the mount away. Not mounted: nothing to do. */
  unmountReadOnly(target: string): Promise<void>;

  /** What `docker image inspect` shows under GraphDriver.Data. */
  inspect(chainId: string): Record<string, string>;

  /** Every layer that is known. */
  list(): string[];

  /** True for the name of a folder below `layers/` that is there without being known because it is being filled. */
  isBeingFilled(folderName: string): boolean;

  /**
   * Forgets layers, topmost first; their content is deleted in the background. The caller has made sure that no image needs them; one
   * that another layer or a writable layer sits on is kept. Answers those that went.
   */
  remove(chainIds: string[]): Promise<string[]>;

  /** Makes a container's writable layer on top of `parent`, which is kept for as long as the writable layer is there. */
  createWritable(containerId: string, parent: string | undefined): Promise<void>;
  /** Mounts parent and writable layer as one tree at `target` (an existing folder). Already mounted there: nothing to do. */
  mountWritable(containerId: string, parent: string | undefined, target: string, options?: { volatile?: boolean }): Promise<void>;
  /** Takes the mount away. Not mounted: nothing to do. Never blocks the event loop. */
  unmountWritable(target: string): Promise<void>;
  /** Deletes the writable layer. The caller has unmounted it. */
  removeWritable(containerId: string): Promise<void>;
  /** What `docker inspect` shows under GraphDriver.Data. */
  inspectWritable(containerId: string, parent: string | undefined, target: string): Record<string, string>;
  /** Bytes of the regular files and symlinks that a container has written. */
  measureWritable(containerId: string): Promise<number>;
  /** What a container has changed of what it was made from, by Docker's rules and in Docker's order. */
  changesOf(containerId: string, signal?: AbortSignal): Promise<LayerChange[]>;

  /** Writes the whole tree of a container to the file at `target`, as `docker export` has it. */
  packWritable(containerId: string, target: string, signal?: AbortSignal): Promise<PackedLayer>;

  [Symbol.asyncDispose](): Promise<void>;
}

/** What a layer sits on: one that is being filled, or the chainID of one that is committed; undefined at the bottom. */
export type LayerParent = StagedLayer | string | undefined;

export interface StagedLayer {
  /**
   * Unpacks an archive into it; the diffID is the digest of the archive, decompressed. Folders that the archive only implies are as the
   * layers below have them after `complete`, which must wait until those are filled.
   */
  apply(archive: LayerArchive, signal?: AbortSignal): Promise<LayerContent>;
  complete(signal?: AbortSignal): Promise<void>;

  /**
   * Mounts the whole tree, with the layers below, at `target` (an existing folder) to write in. A crash may take what was written.
   * `mountPoints`: with what a runtime mounts over (mount-points.ts), for processes to run in it, and places for further mounts; that is no
   * part of the layer.
   */
  mount(target: string, options?: { mountPoints?: boolean; further?: MountPlace[] }): Promise<void>;
  /** Ends the writing. Not mounted: nothing to do. */
  unmount(): Promise<void>;

  /** Says what is in it, for one that was not filled by `apply`: the diffID that Docker would give it. Writes nothing. */
  finish(signal?: AbortSignal): Promise<LayerContent>;

  /** Throws it away, unless it was committed. */
  abort(): Promise<void>;
}

/** Where something is to be mounted, and nothing is yet: a clean relative path without symlinks; a binary string. */
export interface MountPlace {
  path: string;
  isFolder: boolean;
}

export interface LayerArchive {
  path: string;
  /** The part of the file that is the archive; all of it by default. */
  range?: { offset: number; sizeBytes: number } | undefined;
  /** Digest of the archive as it stands there; checked when it is said. */
  digest?: string | undefined;
  /** For messages: `unpacking layer 0123456789ab`. */
  what: string;
  /** Hears how many bytes of the archive are read. */
  progress?: (archiveBytes: number) => void;
}

export interface LayerContent {
  diffId: string;
  /** Of all regular files. */
  bytes: number;
  /** Of its tar; not known for layers of old. */
  tarBytes?: number | undefined;
}

export interface FinishedLayer extends LayerContent {
  staged: StagedLayer;
  chainId: string;
  parent: string | undefined;
}

export interface PackedLayer {
  /** Of the file that was written. */
  digest: string;
  sizeBytes: number;
}

export interface LayerChange {
  /** Absolute, as the container sees it. */
  path: string;
  kind: "added" | "modified" | "deleted";
}

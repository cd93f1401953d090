/**
 * Layers: what images and containers are made of.
 *
 * The engine asks a driver for *snapshots* and never assumes that one is a folder: an image layer is committed under its chainID
 * (image-spec, "Layer ChainID") and never changes; a container's writable layer is prepared on top of one, mounted for as long as the
 * container runs, and removed with it. `overlay` is the only driver for now; another one implements this interface.
 *
 * A *staged* layer is one that is being filled: private, unknown to everybody else, deleted at start-up when a crash left it.
 */
export interface LayerDriver {
  readonly name: string;

  /** True when the layer is there, whole and durable. */
  has(chainId: string): boolean;

  /** Starts a new layer on top of `parent` (undefined: the bottom; it need not be committed yet): gives a private folder to fill. */
  stage(parent: StagedLayer | string | undefined): Promise<StagedLayer>;

  /**
   * Makes staged layers durable and known under their chainIDs, lowest first: one sync of the file system, then one transaction. A layer
   * that is known meanwhile stays as it is. Whoever staged them aborts them afterwards in any case: that throws away what was not taken.
   */
  commit(layers: FinishedLayer[]): Promise<void>;

  /** Bytes of the regular files in one layer, and the chain above which it sits. */
  describe(chainId: string): { parent: string | undefined; diffId: string; bytes: number } | undefined;

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
  /** Bytes of the regular files that a container has written. */
  measureWritable(containerId: string): Promise<number>;

  [Symbol.asyncDispose](): Promise<void>;
}

export interface StagedLayer {
  readonly folder: string;
  /** Folders of the layers below, uppermost first. */
  readonly below: string[];
  /** Throws it away, unless it was committed. */
  abort(): Promise<void>;
}

export interface FinishedLayer {
  staged: StagedLayer;
  chainId: string;
  parent: string | undefined;
  diffId: string;
  bytes: number;
}

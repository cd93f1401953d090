/**
 * Layers: what images and containers are made of.
 *
 * The engine asks a driver for *snapshots* and never assumes that one is a folder: an image layer is committed under its chainID
 * (image-spec, "Layer ChainID") and never changes; a container's writable layer is prepared on top of one, mounted for as long as the
 * container runs, and removed with it. `overlay` is the only driver for now; another one implements this interface and passes the same
 * contract suite.
 */
export interface LayerDriver {
  readonly name: string;

  /** True when the layer is there, whole and durable. */
  has(chainId: string): boolean;

  /**
   * Starts a new layer on top of `parent` (undefined: the bottom): gives a private folder to unpack into. `commit` makes it durable and
   * known under its chainID, `abort` deletes it. A crash in between leaves nothing that start-up does not delete.
   */
  stage(parent: string | undefined): Promise<StagedLayer>;

  /** Bytes of the regular files in one layer, and the chain above which it sits. */
  describe(chainId: string): { parent: string | undefined; diffId: string; bytes: number } | undefined;

  /** Forgets a layer; its content is deleted in the background. The caller has made sure that nothing uses it. */
  remove(chainId: string): Promise<void>;

  /** Makes a container's writable layer on top of `parent`. */
  createWritable(containerId: string, parent: string | undefined): Promise<void>;
  /** Mounts parent and writable layer as one tree at `target` (an existing folder). Already mounted there: nothing to do. */
  mountWritable(containerId: string, parent: string | undefined, target: string, options?: { volatile?: boolean }): Promise<void>;
  /** Takes the mount away. Not mounted: nothing to do. Never blocks the event loop. */
  unmountWritable(target: string): Promise<void>;
  /** Deletes the writable layer. The caller has unmounted it. */
  removeWritable(containerId: string): Promise<void>;
  /** What `docker inspect` shows under GraphDriver.Data. */
  inspectWritable(containerId: string, parent: string | undefined, target: string): Record<string, string>;

  [Symbol.asyncDispose](): Promise<void>;
}

export interface StagedLayer {
  folder: string;
  /** Durable when this resolves (one syncfs, then the rename, then the row). */
  commit(layer: { chainId: string; diffId: string; bytes: number }): Promise<void>;
  abort(): Promise<void>;
}

import { rm } from "node:fs/promises";
import path from "node:path";

import { EngineError } from "../base/errors.ts";
import { failpoint } from "../base/failpoint.ts";
import { together } from "../base/together.ts";
import type { ChildPool } from "./child/pool.ts";
import { packFolder } from "./folder-work.ts";
import type { LayerArchive, LayerContent, MountPlace, StagedLayer } from "./layers.ts";
import { makeMountPlaces } from "./mount-points.ts";
import type { CopyRequest } from "./pack/copy-tree.ts";
import type { PackOptions } from "./pack/pack-tree.ts";
import type { AdoptRequest } from "./unpack/adopt-folders.ts";
import type { UnpackRequest, UnpackResult } from "./unpack/unpack-layer.ts";

/** What a staged layer needs of its driver. */
export interface StagingPlace {
  children: ChildPool;
  /** Answers how to end it. */
  mount: (
    layer: { upper: string; work: string; below: string[]; above: string[] },
    target: string,
    mountPoints: boolean,
  ) => Promise<() => Promise<void>>;
  complete: (folder: string, below: string[], signal?: AbortSignal) => Promise<void>;
  abandon: (layer: StagedFolder) => Promise<void>;
}

/** Where a layer that came out of a tar has its recipe (pack/recipe.ts). */
export function recipeIn(home: string): string {
  return path.join(home, "recipe");
}

/** A layer that is being filled: `diff` becomes the layer, `work` is there only while it is mounted. */
export class StagedFolder implements StagedLayer {
  readonly home: string;
  /** Folders of the layers below, uppermost first. */
  readonly below: string[];
  readonly #place: StagingPlace;
  #content: LayerContent | undefined;
  /** Folders that the archive did not bring but has files in. */
  #implied: string[] = [];
  #mounted: { at: string; end: () => Promise<void>; ready: Disposable } | undefined;

  constructor(home: string, below: string[], place: StagingPlace) {
    this.home = home;
    this.below = below;
    this.#place = place;
  }

  get name(): string {
    return path.basename(this.home);
  }

  get folder(): string {
    return path.join(this.home, "diff");
  }

  get #work(): string {
    return path.join(this.home, "work");
  }

  async apply({ path: archivePath, range, digest, what, progress }: LayerArchive, signal?: AbortSignal): Promise<LayerContent> {
    const payload: UnpackRequest = { archivePath, range, digest, folder: this.folder, recipe: recipeIn(this.home) };
    const job = { kind: "unpack", payload, what, heavy: true, progress: (value: unknown) => progress?.(Number(value)) };
    // What unpackLayer of the same build gives back.
    const { diffId, bytes, tarBytes, implied } = (await this.#place.children.run(job, signal)) as UnpackResult;
    this.#implied = implied;
    this.#content = { diffId, bytes, tarBytes };
    return this.#content;
  }

  async complete(signal?: AbortSignal): Promise<void> {
    if (this.#implied.length > 0 && this.below.length > 0) {
      const payload: AdoptRequest = { folder: this.folder, below: this.below, names: this.#implied };
      await this.#place.children.run({ kind: "adopt", payload, what: "completing the layer", heavy: false }, signal);
    }
    await this.#place.complete(this.folder, this.below, signal);
  }

  /** Takes over what a container's upper folder holds. A `frozen` one is hashed at the same time. */
  async copyFrom(upper: string, frozen: boolean, signal?: AbortSignal): Promise<void> {
    const payload: CopyRequest = { from: upper, to: this.folder };
    const copied = this.#place.children.run({ kind: "copy", payload, what: "copying what the container wrote", heavy: true }, signal);
    if (frozen) [, this.#content] = await together(copied, this.#hash({ isUpper: true }, upper, signal));
    else await copied;
    await this.#place.complete(this.folder, this.below, signal);
  }

  get #places(): string {
    return path.join(this.home, "places");
  }

  /** Takes the content of another layer, whose files it shares. */
  async share(folder: string, signal?: AbortSignal): Promise<void> {
    const payload: CopyRequest = { from: folder, to: this.folder, share: true };
    await this.#place.children.run({ kind: "copy", payload, what: "sharing a layer's files", heavy: true }, signal);
    await this.#place.complete(this.folder, this.below, signal);
  }

  async mount(
    target: string,
    { mountPoints = false, further = [] }: { mountPoints?: boolean; further?: MountPlace[] } = {},
  ): Promise<void> {
    if (this.#mounted !== undefined)
      throw new EngineError("conflict", `mounting a layer at ${target}: it is mounted at ${this.#mounted.at}`);
    if (further.length > 0) makeMountPlaces(this.#places, this.below, further);
    const above = further.length > 0 ? [this.#places] : [];
    const end = await this.#place.mount({ upper: this.folder, work: this.#work, below: this.below, above }, target, mountPoints);
    // What runs in it may take long, and is followed by a hash that takes a millisecond.
    this.#mounted = { at: target, end, ready: this.#place.children.keepReady("pack") };
    this.#content = undefined;
  }

  /** Afterwards the folder is the layer: the kernel's work folder, with its mark of a volatile mount, goes. */
  async unmount(): Promise<void> {
    if (this.#mounted === undefined) return;
    await this.#mounted.end();
    this.#mounted.ready[Symbol.dispose]();
    this.#mounted = undefined;
    failpoint("layers.staged.unmounted");
    await Promise.all([this.#work, this.#places].map((folder) => rm(folder, { recursive: true, force: true })));
    await this.#place.complete(this.folder, this.below);
  }

  async finish(signal?: AbortSignal): Promise<LayerContent> {
    if (this.#mounted !== undefined) throw new EngineError("conflict", `finishing a layer: it is mounted at ${this.#mounted.at}`);
    this.#content ??= await this.#hash({ isUpper: true, settle: true }, this.folder, signal);
    return this.#content;
  }

  async abort(): Promise<void> {
    await this.unmount();
    await this.#place.abandon(this);
  }

  async #hash(options: PackOptions, folder: string, signal?: AbortSignal): Promise<LayerContent> {
    const how = { what: "finishing the layer", heavy: false };
    const { diffId, bytes, tarBytes } = await packFolder(this.#place.children, { folder, options }, how, signal);
    return { diffId, bytes, tarBytes };
  }
}

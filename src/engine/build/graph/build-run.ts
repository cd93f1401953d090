import { mkdir, rm, rmdir } from "node:fs/promises";
import path from "node:path";

import { messageOf } from "../../../base/errors.ts";
import { newId } from "../../../base/ids.ts";
import type { LayerContent, LayerParent, StagedLayer } from "../../../store/layers.ts";
import { paths } from "../../../store/roots.ts";
import type { TreeSource } from "../context/tree-source.ts";
import type { FetchRequest, FetchResult } from "../../images/registry/fetch-file.ts";
import type { BuildEngine } from "../open-builds.ts";
import { Slots } from "./slots.ts";

/** Steps of one build that do something at the same time. More are waiting for their turn. */
export const MAX_RUNNING_STEPS = 16;

/** Without a byte for this long a server counts as gone. */
const FETCH_STALL_MS = 60_000;

/** A layer that was filled and is not in the store yet. */
export interface NewLayer {
  staged: StagedLayer;
  content: LayerContent;
}

/** One build under way: what all its operations share. */
export class BuildRun {
  readonly id = newId();
  readonly engine: BuildEngine;
  readonly signal: AbortSignal;
  readonly slots = new Slots(MAX_RUNNING_STEPS);
  readonly folder: string;
  readonly #staged: StagedLayer[] = [];
  #mounts = 0;

  constructor(engine: BuildEngine, signal: AbortSignal) {
    this.engine = engine;
    this.signal = signal;
    this.folder = paths.build(engine.roots, this.id);
  }

  async open(): Promise<void> {
    await mkdir(path.join(this.folder, "mounts"), { recursive: true, mode: 0o700 });
  }

  /** Starts a layer on top of another; it is thrown away with the build unless it was committed. */
  async stage(parent: LayerParent): Promise<StagedLayer> {
    const staged = await this.engine.layers.stage(parent);
    this.#staged.push(staged);
    return staged;
  }

  /** Starts a layer with the same content as another, on top of `parent`. */
  async stageSame(content: LayerParent, parent: LayerParent): Promise<StagedLayer> {
    const staged = await this.engine.layers.stageSame(content, parent, this.signal);
    this.#staged.push(staged);
    return staged;
  }

  /** A new layer, filled by `work` in the mounted tree. */
  async change(parent: LayerParent, work: (root: string) => Promise<void>): Promise<NewLayer> {
    const staged = await this.stage(parent);
    {
      await using stack = new AsyncDisposableStack();
      const target = await this.#mountPoint(stack);
      stack.defer(() => staged.unmount());
      await staged.mount(target);
      await work(target);
    }
    return { staged, content: await staged.finish(this.signal) };
  }

  /** The tree of a layer, mounted for as long as `work` takes. */
  async read<T>(parent: LayerParent, work: (source: TreeSource) => Promise<T>): Promise<T> {
    await using stack = new AsyncDisposableStack();
    return await work({ kind: "folder", root: await this.openReadOnly(parent, stack), isContext: false });
  }

  /** Where the tree of a layer is mounted until `stack` is disposed. */
  async openReadOnly(parent: LayerParent, stack: AsyncDisposableStack): Promise<string> {
    const { layers } = this.engine;
    const target = await this.#mountPoint(stack);
    stack.defer(() => layers.unmountReadOnly(target));
    await layers.mountReadOnly(parent, target);
    return target;
  }

  /** The same to write in; what is written is thrown away. */
  async openScratch(parent: LayerParent, stack: AsyncDisposableStack): Promise<string> {
    const target = await this.#mountPoint(stack);
    const staged = await this.stage(parent);
    stack.defer(() => staged.abort());
    await staged.mount(target);
    return target;
  }

  /** Work in a child process. */
  child(kind: string, payload: unknown, what: string): Promise<unknown> {
    return this.engine.children.run({ kind, payload, what, heavy: false }, this.signal);
  }

  /** Downloads what a URL gives into a new file. */
  async fetch(url: string, file: string): Promise<FetchResult> {
    const tls = { host: new URL(url).host, insecure: false, certificateFolders: [] };
    const payload: FetchRequest = { url, path: file, tls, stallTimeoutMs: FETCH_STALL_MS };
    // What fetchFile of the same build gives back.
    return (await this.child("fetch", payload, `downloading ${url}`)) as FetchResult;
  }

  /** A name for a file of the build's own. */
  filePath(): string {
    this.#mounts += 1;
    return path.join(this.folder, `file-${this.#mounts}`);
  }

  /** For secrets: where the host keeps what does not outlive it. */
  secretPath(): string {
    return path.join(paths.buildSecrets(this.engine.roots), newId());
  }

  async discard(file: string): Promise<void> {
    await rm(file, { recursive: true, force: true });
  }

  async #mountPoint(stack: AsyncDisposableStack): Promise<string> {
    this.#mounts += 1;
    const target = path.join(this.folder, "mounts", String(this.#mounts));
    await mkdir(target, { mode: 0o700 });
    stack.defer(() => rmdir(target));
    return target;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const report = (error: unknown): void => this.engine.log.error({ build: this.id, error: messageOf(error) }, "clearing away a build");
    for (const staged of this.#staged.toReversed()) await staged.abort().catch(report);
    await rm(this.folder, { recursive: true, force: true }).catch(report);
  }
}
